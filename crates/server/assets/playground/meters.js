// What one panel counts: messages, bytes, rate of the last minute, one-way and round-trip time.

import { bytes, count, median, millis } from './dom.js';

const SECONDS = 60;
const SAMPLES_MAX = 100;
const WIDTH = 120;
const HEIGHT = 32;

export class Meters {
  constructor(view) {
    this.view = view;
    this.reset();
    setInterval(() => this.second(), 1000);
  }

  reset() {
    this.messages = 0;
    this.bytes = 0;
    this.perSecond = new Array(SECONDS).fill(0);
    this.current = 0;
    this.oneWay = [];
    this.roundTrip = [];
    this.draw();
  }

  /** One received message of `size` bytes; `sentAt` is the server's clock if the frame tells it. */
  message(size, at, sentAt) {
    this.messages += 1;
    this.current += 1;
    this.bytes += size;
    // Both clocks are this machine's in dev mode; elsewhere their difference shows here.
    if (sentAt) keep(this.oneWay, Math.max(0, at - sentAt));
  }

  answered(ms) {
    keep(this.roundTrip, ms);
  }

  second() {
    this.perSecond.push(this.current);
    this.perSecond.shift();
    this.current = 0;
    this.draw();
  }

  draw() {
    const { view } = this;
    view.messages.textContent = count(this.messages);
    view.bytes.textContent = bytes(this.bytes);
    view.rate.textContent = count(this.perSecond.at(-1));
    view.oneway.textContent = this.oneWay.length ? millis(median(this.oneWay)) : '–';
    view.roundtrip.textContent = this.roundTrip.length ? millis(median(this.roundTrip)) : '–';
    const top = Math.max(4, ...this.perSecond);
    const points = this.perSecond.map((value, index) =>
      `${((index / (SECONDS - 1)) * WIDTH).toFixed(1)} ${(HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(1)}`);
    view.line.setAttribute('d', `M${points.join('L')}`);
    view.area.setAttribute('d', `M0 ${HEIGHT}L${points.join('L')}L${WIDTH} ${HEIGHT}Z`);
  }
}

function keep(samples, value) {
  samples.push(value);
  if (samples.length > SAMPLES_MAX) samples.shift();
}
