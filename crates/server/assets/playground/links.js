// The two ways to a server, with one face: what is public in the protocol and nothing else.
//
// A link is opened with `{channels, userId, since, types, format}`, tells its state by
// `onState({name, detail})` and every frame by `onFrame(entry)`, and sends with `send(frame)`,
// whose answer is `{frame, ms}` or a thrown Error with the server's words.
// States: idle, connecting, open, waiting (a new attempt is coming), closed (none is).

import { parse } from './dom.js';

const ANSWER_MS_MAX = 10_000; // as long as the server's own connect deadline
const BACKOFF_MS_FIRST = 500; // the reconnect rule of the protocol: full jitter, doubling, 20 s at most
const BACKOFF_MS_MAX = 20_000;
const CLOSE_STOPS = new Set([1000, 1002, 1003, 1007, 1008, 1009, 4000, 4001, 4002, 4003, 4004, 4008]);
const encoder = new TextEncoder();

/** Names of the frames that are not messages; a native EventSource must know each to hear it. */
const SYSTEM_OPS = [
  'connected', 'subscribed', 'unsubscribed', 'gap', 'goaway', 'error', 'auth', 'ping', 'delivery', 'presence',
  'typing', 'receipts', 'unread', 'inbox', 'watch',
];
/** These two would fire the page's own handlers, so the server renames them. */
const RENAMED = new Map([['open', '$type:open'], ['error', '$type:error']]);

/** `path?channel=…&userId=…` as the server reads it. */
export function streamUrl(path, options) {
  const query = new URLSearchParams();
  for (const channel of options.channels) query.append('channel', channel);
  if (options.userId) query.set('userId', options.userId);
  if (options.since) query.set('since', options.since);
  if (options.format === 'frames') query.set('format', 'frames');
  if (options.lastEventId) query.set('lastEventId', options.lastEventId);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

class Link {
  constructor(path, { onState, onFrame }) {
    this.path = path;
    this.onState = onState;
    this.onFrame = onFrame;
    this.connected = null; // the `connected` frame of the open connection
    this.state = 'idle';
  }

  /** A new connection as `options` say; the one before is closed and forgotten. */
  open(options) {
    this.close();
    this.options = options;
    this.position = null;
    this.cursor = '';
    this.start();
  }

  /** The same connection again after `close`, continuing where it was. */
  reopen() {
    this.start();
  }

  setState(name, detail = '') {
    this.state = name;
    if (name !== 'open') this.connected = null;
    this.onState({ name, detail });
  }

  /** Keeps what a frame says about this connection, then hands it on. */
  received(entry) {
    const frame = entry.frame;
    if (frame?.op === 'connected') {
      this.connected = frame;
      this.failures = 0;
      this.moved(frame.subscriptions?.find((one) => one.channel === this.options.channels[0])?.position);
      this.setState('open');
    } else if (frame?.op === 'message' && frame.offset && frame.channel === this.options.channels[0]) {
      if (this.position) this.position = { ...this.position, offset: frame.offset };
    } else if (frame?.op === 'gap' || frame?.op === 'subscribed') {
      if (frame.channel === this.options.channels[0]) this.moved(frame.position);
    }
    this.onFrame({ direction: 'in', at: performance.timeOrigin + performance.now(), ...entry });
  }

  moved(position) {
    if (position) this.position = position;
  }

  sent(frame, raw) {
    this.onFrame({ direction: 'out', at: Date.now(), name: frame.op, frame, value: frame, raw, bytes: 0 });
  }
}

/** A WebSocket at `/ws?…`, which connects by itself, with reconnecting as the close codes ask. */
export class WebSocketLink extends Link {
  waiting = new Map(); // ref → what to call with its answer
  nextRef = 1;
  failures = 0;

  start() {
    const since = this.position ? `${this.position.epoch}-${this.position.offset}` : this.options.since;
    const one = this.options.channels.length === 1; // `since` belongs to one channel
    const url = streamUrl(this.path, { ...this.options, format: '', since: one ? since : '' });
    this.url = new URL(url, location.href.replace(/^http/, 'ws')).href;
    this.setState('connecting');
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onmessage = (event) => this.message(event.data);
    socket.onclose = (event) => socket === this.socket && this.closed(event);
    // A bare `/ws` waits for a connect frame; with a query the server begins.
    socket.onopen = () => this.url.includes('?') || socket.send('{"op":"connect"}');
  }

  message(raw) {
    const frame = parse(raw);
    this.received({ name: frame.op === 'message' ? frame.type : frame.op, frame, value: frame, raw, bytes: encoder.encode(raw).length });
    const waiting = this.waiting.get(frame.ref);
    if (!waiting) return;
    this.waiting.delete(frame.ref);
    waiting(frame);
  }

  closed({ code, reason }) {
    this.socket = null;
    this.failAll(`the connection closed (${code})`);
    const why = reason ? `${code} ${reason}` : `code ${code}`;
    if (CLOSE_STOPS.has(code)) return this.setState('closed', why);
    const atOnce = code >= 4200 && code <= 4299;
    const ceiling = atOnce || this.failures === 0 ? 300 : Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** this.failures);
    this.failures = Math.min(this.failures + 1, 10);
    this.timer = setTimeout(() => this.start(), Math.random() * ceiling);
    this.setState('waiting', why);
  }

  close() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close(1000);
    this.failAll('the connection was closed');
    this.setState('idle');
  }

  failAll(why) {
    for (const waiting of this.waiting.values()) waiting({ op: 'error', message: why });
    this.waiting.clear();
  }

  async send(frame) {
    if (!this.connected) throw new Error('not connected');
    const ref = this.nextRef++;
    const numbered = { op: frame.op, ref, ...frame };
    const raw = JSON.stringify(numbered);
    const begin = performance.now();
    const answer = await new Promise((resolve) => {
      this.waiting.set(ref, resolve);
      setTimeout(() => this.waiting.delete(ref) && resolve({ op: 'error', message: 'no answer in time' }), ANSWER_MS_MAX);
      this.socket.send(raw);
      this.sent(numbered, raw);
    });
    if (answer.op === 'error') throw new Error([answer.code, answer.message].filter(Boolean).join(': '));
    return { frame: answer, ms: performance.now() - begin };
  }
}

/** A native EventSource at `/sse?…`, which reconnects by itself; sends by POST. */
export class EventSourceLink extends Link {
  start() {
    const url = streamUrl(this.path, { ...this.options, lastEventId: this.cursor });
    this.url = new URL(url, location.href).href;
    this.setState('connecting');
    const source = new EventSource(this.url);
    this.source = source;
    source.onerror = () => {
      if (source !== this.source) return;
      if (source.readyState === EventSource.CLOSED) this.setState('closed', 'the server ended it for good');
      else this.setState('waiting', 'the browser tries again');
    };
    source.onmessage = (event) => this.event(event, 'message');
    if (this.options.format === 'frames') return;
    for (const type of this.options.types ?? []) {
      if (type !== 'message') source.addEventListener(RENAMED.get(type) ?? type, (event) => this.event(event, type));
    }
    for (const op of SYSTEM_OPS) source.addEventListener(`$${op}`, (event) => this.event(event, `$${op}`));
  }

  event(event, name) {
    this.cursor = event.lastEventId || this.cursor;
    const value = parse(event.data);
    const isFrame = this.options.format === 'frames' || name.startsWith('$');
    const head = name === 'message' ? '' : `event: ${event.type}\n`;
    const raw = `${head}${event.data.split('\n').map((line) => `data: ${line}`).join('\n')}`;
    const shown = this.options.format === 'frames' && value.op ? (value.op === 'message' ? value.type : value.op) : name;
    this.received({ name: shown, frame: isFrame ? value : null, value, raw, bytes: encoder.encode(event.data).length });
  }

  close() {
    this.source?.close();
    this.source = null;
    this.setState('idle');
  }

  async send(frame) {
    if (!this.connected) throw new Error('not connected');
    const { connectionId, sessionToken } = this.connected;
    const raw = JSON.stringify(frame);
    const begin = performance.now();
    this.sent(frame, raw);
    const response = await fetch(`${this.path}/${encodeURIComponent(connectionId)}`, {
      method: 'POST',
      headers: { 'Authorization': `Bearer ${sessionToken}`, 'Content-Type': 'application/json' },
      body: raw,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const text = await response.text();
    const ms = performance.now() - begin;
    const answer = parse(text);
    this.onFrame({ direction: 'in', at: Date.now(), name: answer?.op ?? `HTTP ${response.status}`, frame: answer, value: answer, raw: text, bytes: 0, answer: true });
    if (!response.ok || answer?.op === 'error') {
      throw new Error([answer?.code ?? `HTTP ${response.status}`, answer?.message].filter(Boolean).join(': '));
    }
    return { frame: answer, ms };
  }
}
