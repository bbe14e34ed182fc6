// A page that outlives its server: killed, restarted with the same store, and cut off in the middle of a burst, it ends with everything.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { blankPage, launch } from './support/browser.mjs';
import { startProxy } from './support/proxy.mjs';
import { startServer } from './support/server.mjs';

const CHANNELS = ['a', 'b', 'c', 'd', 'e'];
const BATCH = 100; // messages of one request, the most there may be
const BURST_BATCHES = 50;
const CUT_AFTER = 20; // batches of the burst …
const MENDED_AFTER = 30; // … and the network is back, in the middle of it
const PATIENCE_MS = 120_000;

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** A server with a store, a proxy before it, and a page that came through the proxy. All are gone when the test ends. */
async function world(t) {
  const folder = await mkdtemp(join(tmpdir(), 'recovery-spec-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const env = { REALTIME__STORE__PATH: join(folder, 'data') };
  const it = { server: await startServer({ env }) };
  t.after(() => it.server.kill());
  it.proxy = await startProxy(it.server.port);
  t.after(() => it.proxy.stop());
  it.restart = async () => {
    await it.server.kill();
    it.server = await startServer({ env, port: it.server.port });
  };
  const context = await browser.newContext();
  t.after(() => context.close());
  it.page = await blankPage(context, it.proxy.url);
  return it;
}

/** Publishes the next `count` batches over all channels in turn; every message must be stored. `n` counts per channel from 1. */
function publisher(it) {
  let published = 0;
  return async (count, afterBatch = async () => {}) => {
    for (let batch = 1; batch <= count; batch += 1) {
      const messages = Array.from({ length: BATCH }, () => {
        const channel = CHANNELS[published % CHANNELS.length];
        published += 1;
        const n = Math.ceil(published / CHANNELS.length);
        return { channel, type: 'n', ack: 'stored', data: { channel, n } };
      });
      const { results } = await it.server.publish({ messages });
      for (const result of results) assert.ok(result.position, JSON.stringify(result));
      await afterBatch(batch);
    }
    return published / CHANNELS.length; // what each channel has by now
  };
}

/** The story of both pages. Returns how many messages each channel has in the end. */
async function outlive(it) {
  const publish = publisher(it);
  await heardUpTo(it.page, await publish(2));
  await it.restart();
  // Nobody waits for the page to come back before more is published.
  await heardUpTo(it.page, await publish(3));
  let connections = 0;
  await publish(BURST_BATCHES, async (batch) => {
    if (batch === CUT_AFTER) {
      connections = await opened(it.page);
      it.proxy.cut();
    }
    if (batch === MENDED_AFTER) it.proxy.mend();
  });
  await it.page.waitForFunction((count) => window.told.filter((event) => event.open).length > count, connections, { timeout: PATIENCE_MS });
  await it.restart();
  const last = await publish(1);
  await heardUpTo(it.page, last);
  return last;
}

/** How often the page has been connected. */
const opened = (page) => page.evaluate(() => window.told.filter((event) => event.open).length);

/** Waits until the page has heard so many messages of every channel. */
function heardUpTo(page, last) {
  return page.waitForFunction(
    ([count, channels]) => channels.every((channel) => (window.newest[channel] ?? 0) >= count),
    [last, CHANNELS],
    { timeout: PATIENCE_MS, polling: 50 },
  );
}

/**
 * Every message of every channel, in order. A new connection (`open`) may repeat what came after the last cursor (`kept`) of the one
 * before, and nothing else. Returns how many were repeated.
 */
function assertComplete(heard, last) {
  const newest = Object.fromEntries(CHANNELS.map((channel) => [channel, 0]));
  let kept = { ...newest };
  let fresh = new Set(); // channels that have not been heard of since the connection began
  let repeats = 0;
  for (const event of heard) {
    if (event.open) {
      fresh = new Set(CHANNELS);
      continue;
    }
    const { channel, n } = event;
    if (fresh.delete(channel) && n <= newest[channel]) {
      assert.ok(n > kept[channel], `${channel} ${n} came again although ${kept[channel]} was kept`);
      repeats += newest[channel] - n + 1;
    } else {
      assert.equal(n, newest[channel] + 1, `${channel}: ${n} after ${newest[channel]}`);
    }
    newest[channel] = n;
    if (event.kept) kept = { ...newest };
  }
  for (const channel of CHANNELS) assert.equal(newest[channel], last, channel);
  return repeats;
}

test('a native EventSource on five channels ends with every message, in order', { timeout: 2 * PATIENCE_MS }, async (t) => {
  const it = await world(t);
  await it.page.evaluate((channels) => {
    window.newest = {};
    window.told = [];
    window.lost = [];
    const source = new EventSource(`/sse?${channels.map((channel) => `channel=${channel}`).join('&')}`);
    let cursor = '';
    source.onopen = () => window.told.push({ open: true });
    source.addEventListener('$gap', (event) => window.lost.push(event.data));
    source.addEventListener('n', (event) => {
      const { channel, n } = JSON.parse(event.data);
      window.told.push({ channel, n, kept: event.lastEventId !== cursor });
      cursor = event.lastEventId;
      window.newest[channel] = n;
    });
  }, CHANNELS);
  await it.page.waitForFunction(() => window.told.length > 0);
  const last = await outlive(it);
  const [heard, lost] = await it.page.evaluate(() => [window.told, window.lost]);
  assert.deepEqual(lost, [], 'no gap');
  const repeats = assertComplete(heard, last);
  const connections = heard.filter((event) => event.open).length;
  assert.ok(connections >= 4, `connected ${connections} times: at first, after two kills and after the cut`);
  t.diagnostic(`${connections} connections, ${last * CHANNELS.length} messages, ${repeats} repeated`);
});

test('a WebSocket that goes on with since ends with every message, in order, each once', { timeout: 2 * PATIENCE_MS }, async (t) => {
  const it = await world(t);
  await it.page.evaluate((channels) => {
    const AGAIN_MS = 100;
    window.newest = {};
    window.told = [];
    window.lost = [];
    const positions = {};
    const connect = () => {
      const socket = new WebSocket(new URL('/ws', location.href.replace(/^http/, 'ws')));
      socket.onopen = () => {
        const subscriptions = channels.map((channel) => (positions[channel] ? { channel, since: positions[channel] } : { channel }));
        socket.send(JSON.stringify({ op: 'connect', subscriptions }));
      };
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.op === 'connected') {
          window.told.push({ open: true });
          for (const one of frame.subscriptions) {
            if (one.recovered === false || one.error) window.lost.push(one);
            positions[one.channel] = one.position;
          }
        } else if (frame.op === 'gap') {
          window.lost.push(frame);
        } else if (frame.op === 'message') {
          const { channel, offset } = frame;
          positions[channel] = { ...positions[channel], offset };
          window.told.push({ channel, n: frame.data.n, kept: true });
          window.newest[channel] = frame.data.n;
        }
      };
      socket.onclose = () => setTimeout(connect, AGAIN_MS);
    };
    connect();
  }, CHANNELS);
  await it.page.waitForFunction(() => window.told.length > 0);
  const last = await outlive(it);
  const [heard, lost] = await it.page.evaluate(() => [window.told, window.lost]);
  assert.deepEqual(lost, [], 'no gap');
  assert.equal(assertComplete(heard, last), 0, 'nothing twice');
  const connections = heard.filter((event) => event.open).length;
  assert.ok(connections >= 4, `connected ${connections} times: at first, after two kills and after the cut`);
  t.diagnostic(`${connections} connections, ${last * CHANNELS.length} messages`);
});
