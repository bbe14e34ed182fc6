// The page at `/` of a server in dev mode, used as a person would use it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './support/browser.mjs';
import { startProxy } from './support/proxy.mjs';
import { startServer } from './support/server.mjs';

const SIZES = [
  { name: 'a laptop', viewport: { width: 1280, height: 800 } },
  { name: 'a phone', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
];

let browser;
let server;
before(async () => {
  [browser, server] = await Promise.all([launch(), startServer()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** The playground, and what went wrong in it: console errors, failed answers, requests to elsewhere. */
async function playground(t, { url = server.url, query = '', ...options } = {}) {
  const context = await browser.newContext({ viewport: SIZES[0].viewport, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  const trouble = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && trouble.push(message.text()));
  page.on('pageerror', (error) => trouble.push(error.stack));
  page.on('request', (request) => new URL(request.url()).origin === url || request.url().startsWith('data:') || trouble.push(`request to ${request.url()}`));
  page.on('websocket', (socket) => socket.url().startsWith(url.replace('http', 'ws')) || trouble.push(`socket to ${socket.url()}`));
  await page.goto(`${url}/${query}`);
  return { page, trouble };
}

const panel = (page, name) => page.locator(`#panel-${name}`);
const isOpen = (page, name) => panel(page, name).locator('[data-ref=state].open').waitFor();
/** An entry of the log of one side whose raw text contains `text`. */
const logged = (page, name, text) => panel(page, name).locator('.log li.in', { hasText: text }).first();

async function bothOpen(page) {
  await isOpen(page, 'websocket');
  await isOpen(page, 'sse');
}

for (const { name, ...size } of SIZES) {
  test(`on ${name} the page opens, connects both sides and shows earthquakes, without trouble`, async (t) => {
    const { page, trouble } = await playground(t, size);
    await bothOpen(page);
    await page.locator('#quakes-state.open').waitFor();
    await page.locator('.speed label', { hasText: '1 h' }).click(); // so that a slow machine need not wait
    await page.locator('#quakes-list li').nth(4).waitFor();
    assert.match(await page.locator('#clock').textContent(), /2018/);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(overflow <= 0, `the page is ${overflow} px too wide`);
    assert.deepEqual(trouble, []);
  });
}

test('the map is drawn, and earthquakes change it', async (t) => {
  const { page } = await playground(t, { reducedMotion: 'reduce' }); // no ripples: what changes is circles
  const drawn = () => page.evaluate(() => {
    const canvas = document.getElementById('map');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const colours = new Set();
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) {
      const colour = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
      colours.add(colour);
      sum = (sum * 31 + colour) >>> 0;
    }
    return { colours: colours.size, sum };
  });
  await page.locator('#quakes-list li').first().waitFor();
  const before = await drawn();
  assert.ok(before.colours > 10, 'ocean, land, and the shades of their edges');
  const shown = await page.locator('#quakes-count').textContent();
  await page.waitForFunction((text) => document.getElementById('quakes-count').textContent !== text, shown);
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100))); // the next frame draws it
  assert.notEqual((await drawn()).sum, before.sum);
});

test('a message published by HTTP appears on both sides', async (t) => {
  const { page, trouble } = await playground(t);
  await bothOpen(page);
  await server.publish({ channel: 'playground', type: 'chat', data: { text: 'from curl <b>&amp;</b>' } });
  for (const side of ['websocket', 'sse']) {
    await logged(page, side, 'from curl <b>&amp;</b>').waitFor();
    assert.equal(await panel(page, side).locator('.log b').count(), 0, 'data is text, never markup');
    assert.equal(await panel(page, side).locator('[data-ref=messages]').textContent(), '1');
  }
  await logged(page, 'sse', 'from curl').locator('summary').click();
  // It is written when the details have opened, which is a moment after the click.
  await logged(page, 'sse', 'from curl').locator('pre', { hasText: '"text": "from curl <b>' }).waitFor();
  assert.deepEqual(trouble, []);
});

test('what one side sends appears on both, with the answer and the code to do it again', async (t) => {
  const { page, trouble } = await playground(t);
  await bothOpen(page);
  for (const [side, curl, js] of [['websocket', '/api/broadcast', 'new WebSocket'], ['sse', 'Authorization: Bearer', 'new EventSource']]) {
    const box = panel(page, side);
    await box.locator('textarea').fill(JSON.stringify({ text: `sent by ${side}` }));
    await box.locator('.send button').click();
    await box.locator('.send output', { hasText: 'accepted' }).waitFor();
    for (const other of ['websocket', 'sse']) await logged(page, other, `sent by ${side}`).waitFor();
    await box.locator('.snippet summary').click();
    assert.ok((await box.locator('[data-ref=curl]').textContent()).includes(curl));
    assert.ok((await box.locator('[data-ref=js]').textContent()).includes(js));
  }
  assert.deepEqual(trouble, []);
});

test('the targets of the send box reach whom they name', async (t) => {
  const { page: ada } = await playground(t, { query: '?user=ada&channel=targets' });
  const { page: bob } = await playground(t, { query: '?user=bob&channel=targets:other' });
  await Promise.all([bothOpen(ada), bothOpen(bob)]);
  const send = async (side, target, text, whom) => {
    const box = panel(bob, side);
    await box.locator('[name=target]').selectOption(target);
    if (whom) await box.locator('[name=whom]').fill(whom);
    await box.locator('textarea').fill(JSON.stringify({ text }));
    await box.locator('.send button').click();
    await box.locator('.send output', { hasText: 'accepted' }).waitFor();
  };
  for (const side of ['websocket', 'sse']) {
    await send(side, 'user', `only ada by ${side}`, 'ada');
    for (const at of ['websocket', 'sse']) await logged(ada, at, `only ada by ${side}`).waitFor();
    await send(side, 'channel', `other channel by ${side}`);
    for (const at of ['websocket', 'sse']) await logged(bob, at, `other channel by ${side}`).waitFor();
    await send(side, 'everyone', `all by ${side}`);
    for (const page of [ada, bob]) for (const at of ['websocket', 'sse']) await logged(page, at, `all by ${side}`).waitFor();
    for (const at of ['websocket', 'sse']) {
      assert.equal(await logged(ada, at, `other channel by ${side}`).count(), 0);
      assert.equal(await logged(bob, at, `only ada by ${side}`).count(), 0);
    }
  }
});

test('data that is not JSON and a refused type are said, not sent', async (t) => {
  const { page } = await playground(t);
  await bothOpen(page);
  for (const side of ['websocket', 'sse']) {
    const box = panel(page, side);
    await box.locator('textarea').fill('{oops');
    await box.locator('.send button').click();
    await box.locator('output.alarm', { hasText: 'not JSON' }).waitFor();
    await box.locator('textarea').fill('1');
    await box.locator('[name=type]').fill('$reserved');
    await box.locator('.send button').click();
    await box.locator('output.alarm', { hasText: 'bad_request' }).waitFor();
  }
});

test('a type that the page is told to listen to arrives; frames show every type', async (t) => {
  const { page } = await playground(t);
  await bothOpen(page);
  await page.locator('[name=types]').fill('chat order.created');
  await page.locator('#settings button').click();
  await bothOpen(page);
  await server.publish({ channel: 'playground', type: 'order.created', data: { n: 1 } });
  await logged(page, 'sse', 'event: order.created').waitFor();
  await page.locator('[name=format]').selectOption('frames');
  await page.locator('#settings button').click();
  await bothOpen(page);
  await server.publish({ channel: 'playground', type: 'anything.else', data: { n: 2 } });
  await logged(page, 'sse', 'anything.else').waitFor();
  assert.match(page.url(), /format=frames/);
});

test('the speed of the replay follows the page, by a message on its control channel', async (t) => {
  const { page } = await playground(t);
  await page.locator('#quakes-state.open').waitFor();
  await page.locator('.speed label', { hasText: '4 h' }).click();
  await page.waitForFunction(() => {
    const measured = Number(document.getElementById('quakes-rate').textContent.replace(/[^\d]/g, ''));
    return measured > 10_000 && measured < 20_000;
  });
  await page.locator('.speed label', { hasText: '10 min' }).click();
});

test('after a cut both sides reconnect by themselves and miss nothing', async (t) => {
  const proxy = await startProxy(server.port);
  t.after(() => proxy.stop());
  const { page } = await playground(t, { url: proxy.url, query: '?channel=reconnect' });
  await bothOpen(page);
  await server.publish({ channel: 'reconnect', type: 'chat', data: 'before' });
  for (const side of ['websocket', 'sse']) await logged(page, side, 'before').waitFor();
  proxy.cut();
  for (const side of ['websocket', 'sse']) await panel(page, side).locator('[data-ref=state]', { hasText: /connecting/ }).waitFor();
  await server.publish({ channel: 'reconnect', type: 'chat', data: 'meanwhile' });
  proxy.mend();
  await bothOpen(page);
  await server.publish({ channel: 'reconnect', type: 'chat', data: 'afterwards' });
  for (const side of ['websocket', 'sse']) {
    await logged(page, side, 'afterwards').waitFor();
    for (const text of ['before', 'meanwhile', 'afterwards']) {
      assert.equal(await panel(page, side).locator('.log li.in', { hasText: `"${text}"` }).count(), 1, `${text} on ${side}`);
    }
  }
});

for (const [off, on] of [['sse', 'websocket'], ['websocket', 'sse']]) {
  test(`with ${off} switched off the page says so and works with ${on} alone`, async (t) => {
    const env = { [`REALTIME__PROVIDERS__${off.toUpperCase()}__ENABLED`]: 'false', REALTIME__PROVIDER: on };
    const alone = await startServer({ env });
    t.after(() => alone.stop());
    const { page, trouble } = await playground(t, { url: alone.url });
    await isOpen(page, on);
    await panel(page, off).locator('.notice', { hasText: `providers.${off}.enabled is false` }).waitFor();
    await page.locator('#quakes-state.open').waitFor();
    await page.locator('#quakes-list li').first().waitFor();
    await panel(page, on).locator('.send button').click();
    await panel(page, on).locator('.send output', { hasText: 'accepted' }).waitFor();
    assert.deepEqual(trouble, []);
  });
}

test('the page can be used by keyboard and every control has a name', async (t) => {
  const { page } = await playground(t);
  await bothOpen(page);
  const nameless = await page.locator('input, select, textarea, button').evaluateAll((controls) => controls
    .filter((control) => control.checkVisibility())
    .filter((control) => !(control.labels?.length || control.ariaLabel || control.textContent.trim()))
    .map((control) => control.outerHTML));
  assert.deepEqual(nameless, []);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip the map');
  await panel(page, 'websocket').locator('textarea').focus();
  await page.keyboard.press('Control+Enter');
  await panel(page, 'websocket').locator('.send output', { hasText: 'accepted' }).waitFor();
});

test('the policy of the page forbids what it does not need', async () => {
  const policy = (await fetch(`${server.url}/`)).headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self'(;|$)/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
});
