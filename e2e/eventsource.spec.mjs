// A native EventSource, without any library: names, data, order, and what happens when the line breaks.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { blankPage, eventSource, launch, uplink } from './support/browser.mjs';
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

/** A page at `url`, closed when the test ends. */
async function pageFor(t, url = server.url) {
  const context = await browser.newContext();
  t.after(() => context.close());
  return blankPage(context, url);
}

const numbers = (heard, type) => heard.filter((event) => event.event === type).map((event) => JSON.parse(event.data).n);

test('the first event is $connected and names the connection', async (t) => {
  const page = await pageFor(t);
  const source = await eventSource(page, '/sse?channel=first&userId=ada', { types: ['chat'] });
  const [opened, connected] = await source.all();
  assert.equal(opened.event, 'onopen');
  assert.equal(connected.event, '$connected');
  const frame = JSON.parse(connected.data);
  assert.equal(frame.protocol, 1);
  assert.equal(frame.userId, 'ada');
  assert.ok(frame.connectionId && frame.sessionToken && frame.heartbeatMs > 0);
  assert.notEqual(frame.connectionId, frame.sessionToken);
  assert.deepEqual(frame.subscriptions.map((one) => one.channel), ['first']);
  assert.ok(connected.id, 'the first event carries the cursor that a reconnect sends back');
});

test('a message fires the listener of its type, and only its data arrives', async (t) => {
  const page = await pageFor(t);
  const source = await eventSource(page, '/sse?channel=names', { types: ['order.created', 'update'] });
  await server.publish({ channel: 'names', type: 'order.created', data: { id: 7 } });
  await server.publish({ channel: 'names', type: 'message', data: 'plain' });
  await server.publish({ channel: 'names', type: 'update', data: null });
  await source.until((event) => event.event === 'update');
  const messages = (await source.all()).filter((event) => event.data !== undefined && !event.event.startsWith('$'));
  assert.deepEqual(messages.map(({ event, data }) => [event, JSON.parse(data)]), [
    ['order.created', { id: 7 }],
    ['message', 'plain'],
    ['update', null],
  ]);
});

test('types open and error are renamed, so the handlers of the page stay silent', async (t) => {
  const page = await pageFor(t);
  const source = await eventSource(page, '/sse?channel=renamed', { types: ['$type:open', '$type:error', 'fence'] });
  await server.publish({ channel: 'renamed', type: 'open', data: 1 });
  await server.publish({ channel: 'renamed', type: 'error', data: 2 });
  await server.publish({ channel: 'renamed', type: 'fence', data: 3 });
  await source.until((event) => event.event === 'fence');
  assert.deepEqual((await source.all()).map((event) => event.event), ['onopen', '$connected', '$type:open', '$type:error', 'fence']);
});

test('data over several lines and every kind of line end arrives as it was meant', async (t) => {
  const page = await pageFor(t);
  const source = await eventSource(page, '/sse?channel=lines', { types: ['lines'] });
  const texts = ['{\n  "a": 1,\n  "b": [\n    2\n  ]\n}', '{\r\n"a":1}', '{\r"a":1}', '"one\\ntwo\\r\\nthree"', '"\\u2028 data: x\\n\\nevent: hack"'];
  for (const text of texts) await server.publish(`{"channel":"lines","type":"lines","data":${text}}`);
  await server.publish({ channel: 'lines', type: 'lines', data: 'last' });
  await source.until((event) => event.event === 'lines' && event.data === '"last"');
  const got = (await source.all()).filter((event) => event.event === 'lines').map((event) => JSON.parse(event.data));
  assert.deepEqual(got, [...texts.map((text) => JSON.parse(text)), 'last']);
});

test('a type cannot smuggle a field into the stream', async (t) => {
  const page = await pageFor(t);
  const source = await eventSource(page, '/sse?channel=smuggle', { types: ['hack', 'fence'] });
  for (const type of ['x\nevent: hack', 'x\rdata: 1', 'x\u0000', '$connected']) {
    await assert.rejects(server.publish({ channel: 'smuggle', type, data: 1 }), /400/, JSON.stringify(type));
  }
  await server.publish({ channel: 'smuggle', type: 'fence', data: 1 });
  await source.until((event) => event.event === 'fence');
  assert.deepEqual((await source.all()).map((event) => event.event), ['onopen', '$connected', 'fence']);
});

test('the page sends by POST with the token of $connected; any other token finds nothing', async (t) => {
  const page = await pageFor(t);
  const source = await eventSource(page, '/sse?channel=uplink', { types: ['chat'] });
  const answer = await uplink(page, source, { op: 'publish', channel: 'uplink', type: 'chat', data: { n: 1 } });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.op, 'ok');
  assert.ok(answer.body.id);
  await source.until((event) => event.event === 'chat');
  const { connectionId } = JSON.parse((await source.all())[1].data);
  const stolen = await fetch(`${server.url}/sse/${connectionId}`, {
    method: 'POST',
    headers: { 'Authorization': `Bearer ${connectionId}`, 'Content-Type': 'application/json' },
    body: '{"op":"publish","channel":"uplink","type":"chat","data":{"n":2}}',
  });
  assert.equal(stolen.status, 404);
  assert.equal((await stolen.json()).code, 'not_found');
  await server.publish({ channel: 'uplink', type: 'chat', data: { n: 3 } });
  await source.until((event) => event.event === 'chat' && JSON.parse(event.data).n === 3);
  assert.deepEqual(numbers(await source.all(), 'chat'), [1, 3]);
});

test('with format=frames every frame is in onmessage, with its channel', async (t) => {
  const page = await pageFor(t);
  const source = await eventSource(page, '/sse?channel=framed&format=frames', { types: ['chat'] });
  await server.publish({ channel: 'framed', type: 'chat', data: { n: 1 } });
  const frameOf = (event) => (event.event === 'message' ? JSON.parse(event.data) : {});
  const message = frameOf(await source.until((event) => frameOf(event).op === 'message'));
  assert.deepEqual([message.channel, message.type, message.data], ['framed', 'chat', { n: 1 }]);
  assert.ok(message.id && message.offset >= 1 && message.time > 0);
  const heard = await source.all();
  assert.deepEqual(heard.filter((event) => !['message', 'onopen'].includes(event.event)), []);
  assert.equal(frameOf(heard[1]).op, 'connected');
});

test('after a cut the browser sends Last-Event-ID and nothing is missing or repeated', async (t) => {
  const proxy = await startProxy(server.port);
  t.after(() => proxy.stop());
  const page = await pageFor(t, proxy.url);
  const source = await eventSource(page, '/sse?channel=cut&channel=cut:other', { types: ['chat', 'other'] });
  const send = async (from, to) => {
    for (let n = from; n <= to; n += 1) {
      await server.publish({ channel: 'cut', type: 'chat', data: { n } });
      await server.publish({ channel: 'cut:other', type: 'other', data: { n } });
    }
  };
  await send(1, 5);
  await source.until((event) => event.event === 'other' && JSON.parse(event.data).n === 5);
  await source.until((event) => event.event === 'chat' && JSON.parse(event.data).n === 5);
  const cursor = (await source.all()).findLast((event) => event.id).id;
  proxy.cut();
  await source.until((event) => event.event === 'onerror');
  await send(6, 10);
  proxy.mend();
  await source.until((event) => event.event === 'chat' && JSON.parse(event.data).n === 10);
  await send(11, 15);
  await source.until((event) => event.event === 'other' && JSON.parse(event.data).n === 15);
  await source.until((event) => event.event === 'chat' && JSON.parse(event.data).n === 15);
  const heard = await source.all();
  const expected = Array.from({ length: 15 }, (_, index) => index + 1);
  assert.deepEqual(numbers(heard, 'chat'), expected);
  assert.deepEqual(numbers(heard, 'other'), expected);
  assert.equal(heard.filter((event) => event.event === '$gap').length, 0);
  const requests = proxy.requests('/sse?');
  const resumed = requests.at(-1).match(/^last-event-id: (.*)$/im)?.[1].trim();
  assert.ok(requests.length >= 2, 'the browser came back by itself');
  assert.equal(resumed, cursor, 'with the last cursor it was given');
});

test('after a restart of the server a $gap says that the old epoch is gone, and the stream goes on', async (t) => {
  let current = await startServer();
  t.after(() => current.kill());
  const { port } = current;
  const page = await pageFor(t, `http://127.0.0.1:${port}`);
  const source = await eventSource(page, '/sse?channel=restart', { types: ['chat'] });
  await current.publish({ channel: 'restart', type: 'chat', data: { n: 1 } });
  await source.until((event) => event.event === 'chat');
  await current.kill();
  await source.until((event) => event.event === 'onerror');
  const before = (await source.all()).length;
  current = await startServer({ port });
  // There is one for `$all` too, and no order between channels.
  const isOurs = (event) => event.event === '$gap' && JSON.parse(event.data).channel === 'restart';
  const gap = JSON.parse((await source.until(isOurs, { after: before })).data);
  assert.equal(gap.reason, 'epoch');
  assert.equal(gap.lost, true);
  assert.ok(gap.position.epoch);
  await current.publish({ channel: 'restart', type: 'chat', data: { n: 2 } });
  await source.until((event) => event.event === 'chat' && JSON.parse(event.data).n === 2, { after: before });
  assert.deepEqual(numbers(await source.all(), 'chat'), [1, 2]);
});

test('a stream that the application ends does not come back', async (t) => {
  const page = await pageFor(t);
  const source = await eventSource(page, '/sse?channel=stopped', { types: ['$goaway'] });
  const { connectionId } = JSON.parse((await source.until((event) => event.event === '$connected')).data);
  const ended = await fetch(`${server.url}/api/connections/${connectionId}?reason=bye`, { method: 'DELETE' });
  assert.equal(ended.status < 300, true);
  const goaway = JSON.parse((await source.until((event) => event.event === '$goaway')).data);
  assert.deepEqual([goaway.code, goaway.reason, goaway.resume], [4000, 'bye', false]);
  await page.waitForFunction((name) => window.links[name].readyState === EventSource.CLOSED, source.name);
});
