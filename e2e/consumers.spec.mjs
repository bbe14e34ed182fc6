// The examples of docs/consumers.md, as they stand there, in a real browser.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { blankPage, launch } from './support/browser.mjs';
import { startServer } from './support/server.mjs';

let browser;
let server;
let examples;
before(async () => {
  [browser, server] = await Promise.all([launch(), startServer()]);
  const text = await readFile(new URL('../docs/consumers.md', import.meta.url), 'utf8');
  examples = [...text.matchAll(/```js\n([^]*?)```/g)].map((found) => found[1]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** Runs an example in a page whose `work` fails once for the job `twice`. */
async function run(t, index) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await blankPage(context, server.url);
  const { host } = new URL(server.url);
  await page.evaluate((code) => {
    window.done = [];
    window.work = async (job) => {
      window.done.push(job);
      if (job === 'twice' && window.done.filter((it) => it === job).length === 1) throw new Error('not yet');
    };
    (0, eval)(code);
  }, examples[index].replaceAll('localhost:8080', host));
  return page;
}

const group = async () => (await (await fetch(new URL('/api/consumers?channel=jobs', server.url))).json()).items[0];

async function until(what, holds) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what}: ${JSON.stringify(await group())}`);
}

test('over a WebSocket each job is done, and one that failed comes again', async (t) => {
  const page = await run(t, 0);
  await until('the member comes', async () => (await group())?.members === 1);
  for (const data of ['once', 'twice']) await server.publish({ channel: 'jobs', type: 'job', data });
  await until('everything is done', async () => (await page.evaluate(() => window.done.length)) === 3 && (await group()).pending === 0);
  assert.deepEqual(await page.evaluate(() => window.done), ['once', 'twice', 'twice']);
});

test('over an event stream with POST each job is done', async (t) => {
  const page = await run(t, 1);
  await until('the member comes', async () => (await group())?.members === 1);
  for (const data of ['one', 'two']) await server.publish({ channel: 'jobs', type: 'job', data });
  await until('everything is done', async () => (await page.evaluate(() => window.done.length)) === 2 && (await group()).pending === 0);
  assert.deepEqual(await page.evaluate(() => window.done), ['one', 'two']);
});
