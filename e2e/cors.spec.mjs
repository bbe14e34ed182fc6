// Dev mode is for this machine's own pages: a page of another origin can neither read nor connect.
// Chromium is told that the foreign names are this machine, which is what DNS rebinding does.

import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { after, before, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { startServer } from './support/server.mjs';

const FOREIGN = 'evil.example';
let browser;
let server;
let site; // serves an empty page under whatever name it is asked by
before(async () => {
  site = createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>site</title>'));
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  [browser, server] = await Promise.all([launch([`--host-resolver-rules=MAP *.example 127.0.0.1`]), startServer()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
  site.closeAllConnections();
  await new Promise((resolve) => site.close(resolve));
});

async function pageAt(t, host, port = site.address().port) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`http://${host}:${port}/`);
  return page;
}

/** What a page may do with the server: each is "ok", or how it failed. */
function attempt(page, url = server.url) {
  return page.evaluate(async (base) => {
    const fetched = (path, options) => fetch(base + path, options).then((response) => (response.ok ? 'ok' : `HTTP ${response.status}`), () => 'blocked');
    const socket = await new Promise((resolve) => {
      const link = new WebSocket(`${base.replace('http', 'ws')}/ws?channel=cors`);
      link.onmessage = () => resolve('ok');
      link.onclose = (event) => resolve(`closed ${event.code}`);
    });
    const source = await new Promise((resolve) => {
      const link = new EventSource(`${base}/sse?channel=cors`);
      link.addEventListener('$connected', () => resolve('ok') ?? link.close());
      link.onerror = () => resolve(link.readyState === EventSource.CLOSED ? 'refused' : 'retrying') ?? link.close();
    });
    const publish = {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"channel":"cors","type":"x","data":1}',
    };
    return {
      socket, source, info: await fetched('/api/info'), publish: await fetched('/api/broadcast', publish),
      // Needs no preflight, so only the server itself can refuse it.
      blind: await fetched('/api/broadcast', { ...publish, mode: 'no-cors', headers: { 'Content-Type': 'text/plain' } }),
    };
  }, url);
}

test('a page of this machine on another port may do everything', async (t) => {
  const page = await pageAt(t, 'localhost');
  const { blind, ...rest } = await attempt(page);
  assert.deepEqual(rest, { socket: 'ok', source: 'ok', info: 'ok', publish: 'ok' });
  assert.notEqual(blind, 'ok');
});

test('a page of a foreign origin cannot connect, read or publish', async (t) => {
  const page = await pageAt(t, FOREIGN);
  const result = await attempt(page);
  assert.deepEqual(result, { socket: 'closed 1006', source: 'refused', info: 'blocked', publish: 'blocked', blind: 'HTTP 0' });
});

test('a foreign page reaches no subscriber, not even blindly', async (t) => {
  const page = await pageAt(t, FOREIGN);
  const listener = await pageAt(t, 'localhost');
  await listener.evaluate((url) => new Promise((resolve) => {
    window.heard = [];
    const source = new EventSource(`${url}/sse?channel=cors&format=frames`);
    source.onmessage = (event) => window.heard.push(JSON.parse(event.data)) && resolve();
  }), server.url);
  await attempt(page);
  await server.publish({ channel: 'cors', type: 'fence', data: 1 });
  await listener.waitForFunction(() => window.heard.some((frame) => frame.type === 'fence'));
  const types = await listener.evaluate(() => window.heard.filter((frame) => frame.op === 'message').map((frame) => frame.type));
  assert.deepEqual(types, ['fence']);
});

test('a foreign name that resolves to this machine is refused by its Host', async (t) => {
  const page = await pageAt(t, `rebind.example`, server.port).catch(() => null);
  if (page) {
    const result = await attempt(page, `http://rebind.example:${server.port}`);
    assert.deepEqual({ ...result, blind: undefined }, { socket: 'closed 1006', source: 'refused', info: 'HTTP 403', publish: 'HTTP 403', blind: undefined });
  }
  for (const path of ['/api/info', '/sse?channel=x', '/ws?channel=x']) {
    assert.equal((await ask('GET', path, { Host: 'rebind.example' })).status, 403, path);
  }
});

test('a preflight of a foreign origin gets no CORS header, one of this machine its own origin', async () => {
  const asking = { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization, content-type' };
  for (const path of ['/api/broadcast', '/sse/some-id']) {
    const foreign = await ask('OPTIONS', path, { ...asking, Origin: `http://${FOREIGN}` });
    assert.equal(foreign.headers['access-control-allow-origin'], undefined, path);
    const own = await ask('OPTIONS', path, { ...asking, Origin: 'http://localhost:3000' });
    assert.equal(own.headers['access-control-allow-origin'], 'http://localhost:3000', path);
    assert.match(own.headers.vary ?? '', /\borigin\b/i, path);
    assert.match(own.headers['access-control-allow-headers'] ?? '', /authorization/i, path);
  }
});

test('a name that only begins like this machine is foreign', async () => {
  for (const origin of ['http://localhost.evil.example', 'http://127.0.0.1.evil.example', 'http://evil.example?localhost', 'null']) {
    const answer = await ask('GET', '/api/info', { Origin: origin });
    assert.equal(answer.status, 403, origin);
    assert.equal(answer.headers['access-control-allow-origin'], undefined, origin);
  }
});

/** A request with headers that a browser's fetch would not let a test choose. */
function ask(method, path, headers) {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: server.port, method, path, headers }, (response) => {
      resolve({ status: response.statusCode, headers: response.headers });
      response.destroy(); // a stream that was let in by mistake would never end
    });
    asked.on('error', reject).end();
  });
}
