// The earthquakes: what arrives on one channel, as a map, a strip, a list and a clock.
// Everything here goes through the public protocol, over whichever provider the server prefers.

import { World } from './world.js';
import { Strip } from './strip.js';
import { count, make } from './dom.js';

const BACKLOG = 400; // earthquakes asked for on arrival, so that the map does not begin empty
const WEEK_RESTART_MS = 24 * 3_600_000; // a step back by more than this is a new round
const STRONG_MAG = 4.5; // strong enough to be felt widely
const LIST_ROWS = 9;
const RATE_SAMPLES = 30;
const FRESH_MS = 3_000; // older than this on arrival: replayed, no ripple
const CLOCK_RUN_FEED_MS_MAX = 3 * 3_600_000; // longer than any pause in the feed: without news the clock stops
const FACTOR_DEFAULT = 600;
const FRAME_MS = 30; // just under two frames of a 60 Hz screen
const SLOW_MS = 190;

export class Quakes {
  #seen = new Set();
  #samples = []; // [server ms, feed ms] of the last messages, to measure the speed
  #rows = [];
  #strongest = null;
  #last = null; // the newest earthquake and when it was published, in server ms
  #factor = null; // as told on the control channel
  #held = false; // the list stands still while someone points at it or tabs through it

  /** Shows `channel`, whose feeder listens on `channel:control`. */
  constructor(link, channel, landPath) {
    this.link = link;
    this.channel = channel;
    this.control = `${channel}:control`;
    document.getElementById('quakes-channel').textContent = channel;
    this.canvas = document.getElementById('map');
    this.tip = document.getElementById('map-tip');
    this.list = document.getElementById('quakes-list');
    this.clock = document.getElementById('clock');
    this.speed = document.getElementById('speed');
    this.world = new World(this.canvas, landPath);
    this.strip = new Strip(document.getElementById('strip'));
    this.listen();
    this.drawnAt = -Infinity;
    this.slowDrawnAt = -Infinity;
    requestAnimationFrame(this.loop);
  }

  listen() {
    const redraw = () => {
      this.world.resize();
      this.strip.resize();
    };
    new ResizeObserver(redraw).observe(this.canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
    this.canvas.addEventListener('pointermove', (event) => this.point(event.offsetX, event.offsetY));
    this.canvas.addEventListener('pointerleave', () => this.show(null));
    this.speed.addEventListener('change', (event) => this.ask(Number(event.target.value)));
    for (const [type, held] of [['pointerenter', true], ['focusin', true], ['pointerleave', false], ['focusout', false]]) {
      this.list.addEventListener(type, () => {
        this.#held = held;
        if (!held) this.show(null);
        this.drawList();
      });
    }
  }

  /** Opens the feed, from a little before now where the server still has it. */
  async open() {
    this.link.open({ channels: [this.channel], since: await this.before(), format: 'frames' });
  }

  async before() {
    try {
      const response = await fetch(`/api/channel?channel=${encodeURIComponent(this.channel)}`);
      if (!response.ok) return '';
      const { position } = await response.json();
      return position ? `${position.epoch}-${Math.max(0, position.offset - BACKLOG)}` : '';
    } catch {
      return ''; // the map begins empty, which is no reason not to begin
    }
  }

  state({ name }) {
    const chip = document.getElementById('quakes-state');
    chip.className = `chip ${name}`;
    const by = this.link.constructor.name === 'WebSocketLink' ? 'WebSocket' : 'EventSource';
    chip.textContent = name === 'open' ? `live by ${by}` : { idle: 'idle', connecting: 'connecting', waiting: 'reconnecting', closed: 'stopped' }[name];
    this.speed.disabled = name !== 'open';
    if (name === 'open') this.joinControl();
  }

  /** The stream's URL can name a position of one channel only, so the second one is added here. */
  async joinControl() {
    if (this.link.connected.subscriptions?.some((one) => one.channel === this.control)) return;
    try {
      await this.link.send({ op: 'subscribe', channel: this.control });
    } catch {
      // Without it the page only misses what speed others choose; it measures instead.
    }
  }

  /** Asks whoever replays the feed for `factor` seconds of it per second. */
  async ask(factor) {
    try {
      await this.link.send({ op: 'publish', channel: this.control, type: 'speed', data: { factor } });
    } catch (error) {
      document.getElementById('quakes-rate').textContent = error.message;
    }
  }

  frame({ direction, frame }) {
    if (direction === 'out' || frame?.op !== 'message') return;
    if (frame.channel === this.control && frame.type === 'speed') this.told(frame.data?.factor);
    if (frame.channel === this.channel && frame.type === 'earthquake') this.quake(frame.data, frame.time);
  }

  told(factor) {
    if (!(factor > 0)) return;
    this.restartClock();
    this.#factor = factor;
    this.#samples = [];
    this.drawSpeed(factor);
  }

  drawSpeed(factor) {
    for (const input of this.speed.querySelectorAll('input')) input.checked = Number(input.value) === factor;
  }

  quake(data, sentAt) {
    if (![data?.time, data?.lon, data?.lat, data?.depth, data?.mag].every(Number.isFinite)) return;
    if (this.#last && data.time < this.#last.time - WEEK_RESTART_MS) this.restart();
    if (this.#seen.has(data.id)) return; // repeated after a reconnect
    this.#seen.add(data.id);
    const age = Date.now() - sentAt;
    const quake = { ...data, shownAt: age > FRESH_MS ? -Infinity : performance.now() };
    this.world.add(quake);
    this.strip.add(quake);
    this.#samples.push([sentAt, data.time]);
    if (this.#samples.length > RATE_SAMPLES) this.#samples.shift();
    this.#last = { time: data.time, sentAt };
    if (!this.#strongest || data.mag > this.#strongest.mag) this.#strongest = quake;
    this.#rows.unshift(quake);
    this.#rows.length = Math.min(this.#rows.length, LIST_ROWS);
    this.dirty = true;
  }

  restart() {
    this.#seen.clear();
    this.#samples = [];
    this.#rows = [];
    this.#strongest = null;
    this.world.clear();
    this.strip.clear();
  }

  /** Seconds of the feed per second, as it really came. */
  measured() {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (this.#samples.length < 5 || last[0] - first[0] < 500) return null;
    return (last[1] - first[1]) / (last[0] - first[0]);
  }

  /** Where the feed is now: the newest earthquake plus the time since, at the current speed. */
  feedNow() {
    if (!this.#last) return null;
    if (this.link.state !== 'open') return this.#last.shown ?? this.#last.time;
    const factor = this.#factor ?? this.measured() ?? FACTOR_DEFAULT;
    const run = Math.max(0, Date.now() - this.#last.sentAt) * factor;
    this.#last.shown = this.#last.time + Math.min(CLOCK_RUN_FEED_MS_MAX, run);
    return this.#last.shown;
  }

  /** Keeps the clock from jumping when the speed changes between two earthquakes. */
  restartClock() {
    const now = this.feedNow();
    if (now !== null) this.#last = { time: now, sentAt: Date.now() };
  }

  /** Draws the map about 30 times a second and what changes slowly less often: the page also measures latency. */
  loop = (at) => {
    requestAnimationFrame(this.loop);
    if (at - this.drawnAt < FRAME_MS) return;
    this.drawnAt = at;
    const now = this.feedNow();
    this.world.draw(now ?? 0);
    if (at - this.slowDrawnAt < SLOW_MS) return;
    this.slowDrawnAt = at;
    this.strip.draw(now ?? Date.now());
    if (now !== null) this.drawClock(now);
    if (this.dirty) this.drawFacts();
  };

  drawClock(now) {
    const date = new Date(now);
    const text = date.toLocaleString('en-GB', { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZone: 'UTC' });
    if (this.clock.textContent === text) return;
    this.clock.textContent = text;
    this.clock.dateTime = date.toISOString();
  }

  drawFacts() {
    this.dirty = false;
    if (!this.#strongest) return;
    document.getElementById('quakes-count').textContent = count(this.#seen.size);
    document.getElementById('quakes-max').textContent = `M ${this.#strongest.mag.toFixed(1)}`;
    document.getElementById('quakes-max').title = this.#strongest.place;
    const measured = this.measured();
    document.getElementById('quakes-rate').textContent = measured ? `× ${count(Math.round(measured))}` : '–';
    if (measured && this.#factor === null) this.drawSpeed(nearest(measured));
    this.drawList();
  }

  drawList() {
    if (this.#held) return;
    this.list.replaceChildren(...this.#rows.map((quake) => {
      const button = make('button', { type: 'button', className: quake.mag >= STRONG_MAG ? 'strong' : '' },
        make('b', { textContent: quake.mag.toFixed(1) }),
        make('span', { textContent: quake.place, title: quake.place }),
        make('small', { textContent: `${Math.max(0, Math.round(quake.depth))} km` }));
      button.addEventListener('pointerenter', () => this.show(quake));
      button.addEventListener('focus', () => this.show(quake));
      return make('li', {}, button);
    }));
  }

  point(x, y) {
    this.show(this.world.at(x, y));
  }

  show(quake) {
    this.world.mark(quake);
    this.tip.hidden = !quake;
    if (!quake) return;
    const when = new Date(quake.time).toISOString().slice(0, 16).replace('T', ' ');
    this.tip.textContent = `M ${quake.mag.toFixed(1)} · ${quake.place} · ${Math.max(0, Math.round(quake.depth))} km deep · ${when}`;
    const x = this.world.x(quake.lon);
    this.tip.classList.toggle('left', x > this.world.width / 2);
    this.tip.style.left = `${x}px`;
    this.tip.style.top = `${Math.max(18, this.world.y(quake.lat))}px`;
  }
}

/** The offered speed that a measured one most likely is; 0 if it is none of them. */
function nearest(measured) {
  return [60, 600, 3600, 14400].find((factor) => measured > factor * 0.7 && measured < factor * 1.4) ?? 0;
}

