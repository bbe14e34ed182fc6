// Starts and stops a built server for the tests, and publishes by its HTTP API.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const READY_MS_MAX = 15_000; // a debug build on a busy machine
const STOP_MS_MAX = 30_000; // more than the longest drain; after that it is killed
const POLL_MS = 50;

/** The binary under test: `REALTIME_BIN`, else what cargo built last in the usual places. */
function binary() {
  const built = ['debug', 'release'].map((profile) => fileURLToPath(new URL(`../../target/${profile}/realtime-connector`, import.meta.url)));
  const found = process.env.REALTIME_BIN ?? built.find((path) => existsSync(path));
  if (!found) throw new Error('no server to test: run `cargo build`, or set REALTIME_BIN');
  return found;
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** A ready server in dev mode; `env` adds settings, `port` reuses that of an earlier one. */
export async function startServer({ port, env = {} } = {}) {
  const listen = port ?? (await freePort());
  const child = spawn(binary(), ['serve', '--listen', `127.0.0.1:${listen}`], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output = (output + chunk).slice(-8192); });
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  child.once('error', (error) => { output += error.message; });
  const server = {
    port: listen,
    url: `http://127.0.0.1:${listen}`,
    /** Asks it to stop, as an operator would; resolves to its exit code and signal. */
    stop: () => end(child, 'SIGTERM', exited),
    /** Ends it without a chance to say good-bye. */
    kill: () => end(child, 'SIGKILL', exited),
    publish: (message) => publish(`http://127.0.0.1:${listen}`, message),
  };
  try {
    await ready(server.url, child);
  } catch (error) {
    await server.kill();
    throw new Error(`${error.message}; it printed:\n${output}`);
  }
  return server;
}

async function ready(url, child) {
  const deadline = Date.now() + READY_MS_MAX;
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.pid === undefined) throw new Error('the server ended at once');
    try {
      if ((await fetch(`${url}/health/ready`)).ok) return;
    } catch {
      // not listening yet
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`the server was not ready after ${READY_MS_MAX} ms`);
}

async function end(child, signal, exited) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return exited;
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  const result = await exited;
  clearTimeout(timer);
  return result;
}

/** `message` is an object, or the text of the body where its very bytes matter. */
async function publish(url, message) {
  const response = await fetch(`${url}/api/broadcast`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: typeof message === 'string' ? message : JSON.stringify(message),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`publish was refused with ${response.status}: ${text}`);
  return JSON.parse(text);
}
