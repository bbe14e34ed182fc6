// Two users in two browser contexts: what is for one never reaches the other, on either provider.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { blankPage, eventSource, launch, uplink, webSocket } from './support/browser.mjs';
import { startServer } from './support/server.mjs';

const TYPES = ['secret', 'fence'];
let browser;
let server;
before(async () => {
  [browser, server] = await Promise.all([launch(), startServer()]);
});
// What waits for them from the test before would come first.
beforeEach(() => Promise.all(['ada', 'Ada', 'bob'].map(async (userId) => {
  const cleared = await fetch(`${server.url}/api/inbox?userId=${userId}`, { method: 'DELETE' });
  assert.equal(cleared.status, 200);
})));
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Both connections of one user, in a context of their own. */
async function person(t, userId, channel) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await blankPage(context, server.url);
  const query = `?channel=${channel}${userId ? `&userId=${userId}` : ''}`;
  const socket = await webSocket(page, `/ws${query}`);
  const source = await eventSource(page, `/sse${query}`, { types: TYPES });
  return { page, socket, source };
}

/** The secrets a person heard, by provider: `{socket: [data…], source: [data…]}`. */
async function secrets({ socket, source }) {
  return {
    socket: (await socket.all()).filter((frame) => frame.type === 'secret').map((frame) => frame.data),
    source: (await source.all()).filter((event) => event.event === 'secret').map((event) => JSON.parse(event.data)),
  };
}

async function hears({ socket, source }, type, data) {
  await socket.until((frame) => frame.type === type && frame.data === data);
  await source.until((event) => event.event === type && JSON.parse(event.data) === data);
}

/** After this, whatever was on its way to these people by any target has arrived. */
async function fence(people, channel) {
  const targets = [{}, { channel }, ...people.filter(({ userId }) => userId).map(({ userId }) => ({ userId }))];
  for (const [index, target] of targets.entries()) {
    await server.publish({ ...target, type: 'fence', data: index });
    const reached = people.filter(({ userId }) => !target.userId || target.userId === userId);
    for (const { who } of reached) await hears(who, 'fence', index);
  }
}

const EVERYONE_SENDS = [
  ['the HTTP API', (_, message) => server.publish(message)],
  ['a WebSocket', async ({ socket }, message) => {
    await socket.send({ op: 'publish', ref: 77, ...message });
    assert.equal((await socket.until((frame) => frame.ref === 77)).op, 'ok');
  }],
  ['a POST of an EventSource page', async ({ page, source }, message) => {
    assert.equal((await uplink(page, source, { op: 'publish', ...message })).status, 200);
  }],
];

for (const [index, [by, send]] of EVERYONE_SENDS.entries()) {
  test(`a message for one user, sent by ${by}, reaches that user alone`, async (t) => {
    const channel = `users:${index}`;
    const [ada, bob, nobody] = [await person(t, 'ada', channel), await person(t, 'bob', channel), await person(t, '', channel)];
    await send(bob, { userId: 'ada', type: 'secret', data: 'for ada' });
    await hears(ada, 'secret', 'for ada');
    await fence([{ userId: 'ada', who: ada }, { userId: 'bob', who: bob }, { userId: '', who: nobody }], channel);
    assert.deepEqual(await secrets(ada), { socket: ['for ada'], source: ['for ada'] });
    assert.deepEqual(await secrets(bob), { socket: [], source: [] });
    assert.deepEqual(await secrets(nobody), { socket: [], source: [] });
  });

  test(`a message for one user in a channel, sent by ${by}, reaches that user's connections there alone`, async (t) => {
    const channel = `both:${index}`;
    const there = await person(t, 'ada', channel);
    const elsewhere = await person(t, 'ada', `${channel}:elsewhere`);
    const bob = await person(t, 'bob', channel);
    await send(bob, { channel, userId: 'ada', type: 'secret', data: 'here' });
    await hears(there, 'secret', 'here');
    await fence([{ userId: 'ada', who: there }, { userId: 'bob', who: bob }], channel);
    await server.publish({ channel: `${channel}:elsewhere`, type: 'fence', data: 'elsewhere' });
    await hears(elsewhere, 'fence', 'elsewhere');
    assert.deepEqual(await secrets(there), { socket: ['here'], source: ['here'] });
    assert.deepEqual(await secrets(elsewhere), { socket: [], source: [] });
    assert.deepEqual(await secrets(bob), { socket: [], source: [] });
  });
}

test('a message for everyone reaches everyone once, whatever they subscribed to', async (t) => {
  const people = [await person(t, 'ada', 'all:1'), await person(t, 'bob', 'all:2'), await person(t, '', 'all:3')];
  await server.publish({ type: 'secret', data: 'for all' });
  for (const who of people) await hears(who, 'secret', 'for all');
  for (const who of people) assert.deepEqual(await secrets(who), { socket: ['for all'], source: ['for all'] });
});

test('a user name is compared byte for byte', async (t) => {
  const [ada, upper] = [await person(t, 'ada', 'bytes'), await person(t, 'Ada', 'bytes')];
  await server.publish({ userId: 'ada', type: 'secret', data: 1 });
  await hears(ada, 'secret', 1);
  await fence([{ userId: 'ada', who: ada }, { userId: 'Ada', who: upper }], 'bytes');
  assert.deepEqual(await secrets(upper), { socket: [], source: [] });
});
