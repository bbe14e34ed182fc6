// The browser's own WebSocket: connecting both ways, answers, order, errors, and continuing after a cut.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { blankPage, launch, webSocket } from './support/browser.mjs';
import { startProxy } from './support/proxy.mjs';
import { startServer } from './support/server.mjs';

let browser;
let server;
before(async () => {
  [browser, server] = await Promise.all([launch(), startServer()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function pageFor(t, url = server.url) {
  const context = await browser.newContext();
  t.after(() => context.close());
  return blankPage(context, url);
}

const isMessage = (frame) => frame.op === 'message';

test('a URL with a query connects by itself', async (t) => {
  const page = await pageFor(t);
  const socket = await webSocket(page, '/ws?channel=one&channel=two&userId=ada');
  const [connected] = await socket.all();
  assert.equal(connected.op, 'connected');
  assert.equal(connected.userId, 'ada');
  assert.deepEqual(connected.subscriptions.map((one) => one.channel), ['one', 'two']);
  await socket.send({ op: 'connect', ref: 1 });
  assert.equal((await socket.until((frame) => frame.ref === 1)).code, 'conflict');
});

test('a bare URL waits for a connect frame, whose answer carries its ref', async (t) => {
  const page = await pageFor(t);
  const socket = await webSocket(page, '/ws', { connect: { op: 'connect', ref: 9, subscriptions: [{ channel: 'bare' }] } });
  const [connected] = await socket.all();
  assert.deepEqual([connected.op, connected.ref, connected.protocol], ['connected', 9, 1]);
  await server.publish({ channel: 'bare', type: 'chat', data: 1 });
  assert.equal((await socket.until(isMessage)).channel, 'bare');
});

test('the subprotocol is chosen when it is offered', async (t) => {
  const page = await pageFor(t);
  await webSocket(page, '/ws?channel=sub', { protocols: ['realtime-connector.v1+json'] });
  assert.equal(await page.evaluate(() => window.links.socket.protocol), 'realtime-connector.v1+json');
});

test('a publish is answered once, and its message reaches every subscriber with what was sent', async (t) => {
  const page = await pageFor(t);
  const sender = await webSocket(page, '/ws?channel=talk', { name: 'sender' });
  const other = await webSocket(page, '/ws?channel=talk', { name: 'other' });
  const data = { text: 'grüße 👋', nested: [1, { a: null }] };
  await sender.send({ op: 'publish', ref: 5, channel: 'talk', type: 'chat', data });
  const answer = await sender.until((frame) => frame.ref === 5);
  assert.equal(answer.op, 'ok');
  for (const heard of [sender, other]) {
    const message = await heard.until(isMessage);
    assert.deepEqual([message.id, message.channel, message.type, message.data], [answer.id, 'talk', 'chat', data]);
    assert.ok(message.time > 0 && message.offset >= 1);
  }
  assert.equal((await sender.all()).filter((frame) => frame.ref === 5).length, 1);
});

test('a hundred messages arrive in order, each once, on every subscriber', async (t) => {
  const page = await pageFor(t);
  const listeners = await Promise.all(['a', 'b', 'c'].map((name) => webSocket(page, '/ws?channel=order', { name })));
  for (let n = 1; n <= 100; n += 1) await server.publish({ channel: 'order', type: 'n', data: n });
  for (const heard of listeners) {
    await heard.until((frame) => frame.data === 100);
    const messages = (await heard.all()).filter(isMessage);
    assert.deepEqual(messages.map((message) => message.data), Array.from({ length: 100 }, (_, index) => index + 1));
    const offsets = messages.map((message) => message.offset);
    assert.deepEqual(offsets, offsets.map((_, index) => offsets[0] + index));
  }
});

test('subscribe and unsubscribe take effect with their answers', async (t) => {
  const page = await pageFor(t);
  const socket = await webSocket(page, '/ws?channel=home');
  await socket.send({ op: 'subscribe', ref: 1, channel: 'away' });
  const subscribed = await socket.until((frame) => frame.ref === 1);
  assert.deepEqual([subscribed.op, subscribed.channel], ['subscribed', 'away']);
  await server.publish({ channel: 'away', type: 'chat', data: 'heard' });
  await socket.until((frame) => frame.data === 'heard');
  await socket.send({ op: 'unsubscribe', ref: 2, channel: 'away' });
  assert.equal((await socket.until((frame) => frame.ref === 2)).op, 'unsubscribed');
  await server.publish({ channel: 'away', type: 'chat', data: 'not heard' });
  await server.publish({ channel: 'home', type: 'chat', data: 'fence' });
  await socket.until((frame) => frame.data === 'fence');
  assert.deepEqual((await socket.all()).filter(isMessage).map((message) => message.data), ['heard', 'fence']);
});

test('a bad frame is answered with bad_request and the connection stays', async (t) => {
  const page = await pageFor(t);
  const socket = await webSocket(page, '/ws?channel=bad');
  for (const [ref, frame] of [[1, { op: 'nonsense' }], [2, { op: 'publish', type: '$x', data: 1 }], [3, { op: 'subscribe', channel: '' }]]) {
    await socket.send({ ...frame, ref });
    const answer = await socket.until((one) => one.ref === ref);
    assert.deepEqual([answer.op, answer.code], ['error', 'bad_request'], JSON.stringify(frame));
  }
  await socket.send({ op: 'ping', ref: 4 });
  assert.equal((await socket.until((frame) => frame.ref === 4)).op, 'pong');
});

test('close is answered, then the connection closes with 1000', async (t) => {
  const page = await pageFor(t);
  const socket = await webSocket(page, '/ws?channel=bye');
  await socket.send({ op: 'close', ref: 1 });
  const closed = await socket.until((frame) => frame.closed);
  assert.equal(closed.closed, 1000);
  assert.deepEqual((await socket.all()).slice(-3).map((frame) => frame.op ?? 'closed'), ['ok', 'goaway', 'closed']);
});

test('after a cut, since continues with what was missed, each once', async (t) => {
  const proxy = await startProxy(server.port);
  t.after(() => proxy.stop());
  const page = await pageFor(t, proxy.url);
  const first = await webSocket(page, '/ws?channel=wscut', { name: 'first' });
  const { epoch } = (await first.all())[0].subscriptions[0].position;
  for (const n of [1, 2, 3]) await server.publish({ channel: 'wscut', type: 'n', data: n });
  const seen = await first.until((frame) => frame.data === 3);
  proxy.cut();
  assert.equal((await first.until((frame) => frame.closed)).closed, 1006);
  for (const n of [4, 5, 6]) await server.publish({ channel: 'wscut', type: 'n', data: n });
  proxy.mend();
  const second = await webSocket(page, `/ws?channel=wscut&since=${epoch}-${seen.offset}`, { name: 'second' });
  await server.publish({ channel: 'wscut', type: 'n', data: 7 });
  await second.until((frame) => frame.data === 7);
  const heard = await second.all();
  assert.deepEqual(heard.filter(isMessage).map((message) => message.data), [4, 5, 6, 7]);
  assert.equal(heard.filter((frame) => frame.op === 'gap').length, 0);
});
