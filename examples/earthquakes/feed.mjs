// Feeds a server from outside: a week of earthquakes by the HTTP API, in the rhythm they happened.
//
//   node examples/earthquakes/feed.mjs [URL] [CHANNEL] [FACTOR]
//
// URL is that of the server (default REALTIME_URL, else http://127.0.0.1:8080), CHANNEL where to publish
// (default `outside`), FACTOR how many seconds of the week pass in one (default 600). A key for the HTTP
// API is taken from REALTIME_API_KEY. Node 20 is enough; there is nothing to install.

import { readFileSync } from 'node:fs';

const [url = process.env.REALTIME_URL ?? 'http://127.0.0.1:8080', channel = 'outside', factorText = '600'] = process.argv.slice(2);
const key = process.env.REALTIME_API_KEY;
const TICK_MS = 100; // what became due in between goes out as one batch
const BATCH_MAX = 100; // the server's bound on messages in one request
const RETRY_MS = 2_000;

let factor = Number(factorText);
if (!(factor > 0)) throw new Error(`the factor must be a number above 0, not ${factorText}`);

const quakes = readFileSync(new URL('../../crates/server/data/earthquakes.csv', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map(quake);

/** One line of the table; `place` is last, quoted, and may contain commas. */
function quake(line) {
  const [, time, lon, lat, depth, mag, id, place] = /^([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),"(.*)"$/.exec(line);
  return { id, time: Number(time), lon: Number(lon), lat: Number(lat), depth: Number(depth), mag: Number(mag), place };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Publishes until the server took it: the ids make a repeated request harmless. */
async function publish(messages) {
  for (;;) {
    try {
      const response = await fetch(new URL('/api/broadcast', url), {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...(key && { Authorization: `Bearer ${key}` }) },
        body: JSON.stringify({ messages }),
      });
      const answer = await response.json();
      if (response.ok) return answer.results;
      if (!answer.retryable) throw Object.assign(new Error(`${answer.code}: ${answer.message}`), { final: true });
      console.error(`the server says ${answer.code}; trying again`);
    } catch (error) {
      if (error.final) throw error;
      console.error(`no answer from ${url} (${error.cause?.code ?? error.message}); trying again`);
    }
    await pause(RETRY_MS);
  }
}

/** Follows `speed` messages on the control channel, as the map of the playground sends them. */
async function followSpeed() {
  for (;;) {
    try {
      const query = new URLSearchParams({ channel: `${channel}:control`, format: 'frames' });
      const response = await fetch(new URL(`/sse?${query}`, url), { headers: { Accept: 'text/event-stream' } });
      if (!response.ok) return console.error(`the speed stays as it is: /sse answers ${response.status}`);
      let text = '';
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        const lines = (text + chunk).split('\n');
        text = lines.pop();
        for (const line of lines) if (line.startsWith('data:')) changeSpeed(JSON.parse(line.slice(5)));
      }
    } catch {
      // the connection broke; a new one is made below
    }
    await pause(RETRY_MS);
  }
}

function changeSpeed({ op, type, data }) {
  if (op !== 'message' || type !== 'speed' || !(data?.factor > 0)) return;
  factor = data.factor;
  console.log(`one second now shows ${factor} seconds of the week`);
}

async function replay(round) {
  let feed = quakes[0].time;
  let last = Date.now();
  for (let next = 0; next < quakes.length;) {
    const now = Date.now();
    feed += (now - last) * factor;
    last = now;
    const due = [];
    while (next < quakes.length && due.length < BATCH_MAX && quakes[next].time <= feed) due.push(quakes[next++]);
    if (due.length > 0) {
      await publish(due.map((data) => ({ channel, type: 'earthquake', id: `${round}-${data.id}`, data })));
      for (const { mag, place } of due) if (mag >= 5) console.log(`M ${mag.toFixed(1)}  ${place}`);
    }
    await pause(TICK_MS);
  }
}

console.log(`feeding ${quakes.length} earthquakes to channel ${channel} of ${url}; see them at ${new URL(`/?feed=${encodeURIComponent(channel)}`, url)}`);
followSpeed();
for (;;) await replay(Date.now());
