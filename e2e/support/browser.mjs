// A real Chromium for the tests, and what a page in it hears from a server.

import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** A browser with a new empty profile. */
export function launch(extra = []) {
  return chromium.launch({ executablePath: EXECUTABLE, args: [...FLAGS, ...extra] });
}

/**
 * The smallest document of the server at `url`, which opens no connection of its own.
 * It is really loaded: Chromium takes a page that a test made up for one from outside, and keeps it from loopback.
 */
export async function blankPage(context, url) {
  const page = await context.newPage();
  await page.goto(new URL('/playground/icon.svg', url).href);
  await page.evaluate(listeners);
  return page;
}

/** Runs in the page: `listen.*` open a connection that keeps what it hears in `heard[name]`. */
function listeners() {
  window.heard = {};
  window.links = {};
  const list = (name) => (window.heard[name] = []);
  window.listen = {
    /** Each event as `{event, data, id}`, data as text. */
    eventSource(name, url, types) {
      const events = list(name);
      const source = (window.links[name] = new EventSource(url));
      const keep = (event) => events.push({ event: event.type, data: event.data, id: event.lastEventId });
      for (const type of ['message', '$connected', '$gap', '$subscribed', ...types]) source.addEventListener(type, keep);
      source.onopen = () => events.push({ event: 'onopen' });
      source.onerror = () => events.push({ event: 'onerror' });
    },
    /** Each frame as an object; closing as `{closed: code}`. */
    webSocket(name, url, protocols = []) {
      const frames = list(name);
      const socket = (window.links[name] = new WebSocket(new URL(url, location.href.replace(/^http/, 'ws')), protocols));
      socket.onmessage = (event) => frames.push(JSON.parse(event.data));
      socket.onclose = (event) => frames.push({ closed: event.code });
    },
  };
}

/** An EventSource in `page`, once it is connected; see `Heard`. */
export async function eventSource(page, url, { name = 'source', types = [] } = {}) {
  await page.evaluate(([label, address, names]) => window.listen.eventSource(label, address, names), [name, url, types]);
  const heard = new Heard(page, name);
  await heard.until((event) => event.event !== 'onopen'); // `$connected`, its frame, or a refusal
  return heard;
}

/** A WebSocket in `page`, once the server spoke or closed; `url` without a query needs `connect`. */
export async function webSocket(page, url, { name = 'socket', connect, protocols } = {}) {
  await page.evaluate(([label, address, names]) => window.listen.webSocket(label, address, names), [name, url, protocols]);
  const heard = new Heard(page, name);
  if (connect) {
    await page.waitForFunction((label) => window.links[label].readyState === WebSocket.OPEN, name);
    await heard.send(connect);
  }
  await heard.until((frame) => frame.op === 'connected' || frame.closed);
  return heard;
}

/** What one connection of a page has heard so far, oldest first. */
class Heard {
  constructor(page, name) {
    this.page = page;
    this.name = name;
  }

  all() {
    return this.page.evaluate((name) => window.heard[name], this.name);
  }

  /** Waits for the first thing that `matches`; `after` skips what was heard before. */
  async until(matches, { after = 0 } = {}) {
    for (;;) {
      const heard = await this.all();
      const found = heard.slice(after).find(matches);
      if (found) return found;
      await this.page
        .waitForFunction(([name, length]) => window.heard[name].length > length, [this.name, heard.length], { timeout: 20_000, polling: 20 })
        .catch(() => { throw new Error(`waited in vain on ${this.name}; it heard ${JSON.stringify(heard, null, 1)}`); });
    }
  }

  /** Sends a frame on a WebSocket. */
  send(frame) {
    return this.page.evaluate(([name, text]) => window.links[name].send(text), [this.name, JSON.stringify(frame)]);
  }

  close() {
    return this.page.evaluate((name) => window.links[name].close(), this.name);
  }
}

/** A frame to the server by POST, from inside `page`, as the owner of the stream; with a `ref`, so that it is answered: `{status, body}`. */
export async function uplink(page, heard, frame) {
  const { connectionId, sessionToken } = JSON.parse((await heard.until((event) => event.event === '$connected')).data);
  return page.evaluate(async ([id, token, body]) => {
    const response = await fetch(`/sse/${id}`, {
      method: 'POST',
      headers: { 'Authorization': `Bearer ${token}`, 'Content-Type': 'application/json' },
      body,
    });
    return { status: response.status, body: await response.json() };
  }, [connectionId, sessionToken, JSON.stringify({ ref: 1, ...frame })]);
}
