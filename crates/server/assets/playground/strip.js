// The strip: magnitude of each earthquake of the last 24 hours of the feed, newest at the right edge.

import { depthColour, fit, theme } from './canvas.js';

const WINDOW_MS = 24 * 3_600_000;
const HOUR_MS = 3_600_000;
const TICK_MS = 6 * HOUR_MS;
const MAG_MAX = 7;
const PAD = { left: 26, right: 12, top: 8, bottom: 18 };

export class Strip {
  #quakes = [];

  constructor(canvas) {
    this.canvas = canvas;
    this.resize();
  }

  resize() {
    Object.assign(this, fit(this.canvas));
    this.colours = theme();
  }

  add(quake) {
    this.#quakes.push(quake);
  }

  clear() {
    this.#quakes = [];
  }

  draw(feedNow) {
    const { context, width, height } = this;
    const begin = feedNow - WINDOW_MS;
    context.clearRect(0, 0, width, height);
    const firstKept = this.#quakes.findIndex((quake) => quake.time >= begin);
    if (firstKept > 0) this.#quakes.splice(0, firstKept);
    const x = (time) => PAD.left + ((time - begin) / WINDOW_MS) * (width - PAD.left - PAD.right);
    const y = (mag) => height - PAD.bottom - (Math.max(0, mag) / MAG_MAX) * (height - PAD.top - PAD.bottom);
    this.axes(begin, feedNow, x, y);
    for (const quake of this.#quakes) {
      if (quake.time < begin) continue;
      const colour = depthColour(this.colours, quake.depth);
      context.strokeStyle = colour;
      context.fillStyle = colour;
      context.lineWidth = 1;
      context.globalAlpha = 0.4;
      context.beginPath();
      context.moveTo(x(quake.time), y(0));
      context.lineTo(x(quake.time), y(quake.mag));
      context.stroke();
      context.globalAlpha = 1;
      context.beginPath();
      context.arc(x(quake.time), y(quake.mag), quake.mag >= 4.5 ? 3.2 : 2, 0, 2 * Math.PI);
      context.fill();
    }
  }

  axes(begin, end, x, y) {
    const { context, width, colours } = this;
    context.font = '11px system-ui, sans-serif';
    context.fillStyle = colours.text;
    context.strokeStyle = colours.grid;
    context.lineWidth = 1;
    context.beginPath();
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    for (const mag of [0, 2, 4, 6]) {
      context.moveTo(PAD.left, y(mag));
      context.lineTo(width - PAD.right, y(mag));
      context.fillText(mag === 0 ? '0' : `M${mag}`, PAD.left - 5, y(mag));
    }
    context.stroke();
    context.textAlign = 'center';
    context.textBaseline = 'alphabetic';
    for (let time = Math.ceil(begin / TICK_MS) * TICK_MS; time <= end; time += TICK_MS) {
      const at = x(time);
      if (at > PAD.left + 20 && at < width - PAD.right - 20) context.fillText(tick(time), at, this.height - 5);
    }
  }
}

/** "06:00", and the day's name at midnight. */
function tick(time) {
  const date = new Date(time);
  const options = date.getUTCHours() === 0 ? { weekday: 'short', day: 'numeric', month: 'short' } : { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  return date.toLocaleString('en-GB', { ...options, timeZone: 'UTC' });
}
