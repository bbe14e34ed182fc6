// The map: an equirectangular world around the Pacific, so that the ring of fire is in one piece.
// Fresh earthquakes are drawn each frame; settled ones are painted once into the background.

import { depthColour, fit, radius, theme } from './canvas.js';

const WEST = -30; // the map is cut in the Atlantic
const NORTH = 78;
const SOUTH = -60;
const FADE_FEED_MS = 24 * 3_600_000; // a day of the feed from bright to settled
const RIPPLE_MS = 1_800;
const SETTLED_ALPHA = 0.3;
const LABEL_MAG = 4.5;
const LABEL_AGE = 0.4; // of the fade
const POINT_PX = 14; // how near the pointer must come
const still = matchMedia('(prefers-reduced-motion: reduce)');


export class World {
  #fresh = [];
  #settled = [];
  #marked = null;

  constructor(canvas, landPath) {
    this.canvas = canvas;
    this.land = new Path2D(landPath);
    this.background = document.createElement('canvas');
    this.resize();
  }

  resize() {
    Object.assign(this, fit(this.canvas));
    this.colours = theme();
    this.background.width = this.canvas.width;
    this.background.height = this.canvas.height;
    this.paper = this.background.getContext('2d');
    this.paintBackground();
  }

  paintBackground() {
    const { paper, ratio, width, height, colours } = this;
    const scale = (width / 3600) * ratio; // the path is in tenths of a degree
    paper.setTransform(1, 0, 0, 1, 0, 0);
    paper.fillStyle = colours.ocean;
    paper.fillRect(0, 0, width * ratio, height * ratio);
    paper.fillStyle = colours.land;
    for (const turn of [0, 3600]) {
      paper.setTransform(scale, 0, 0, scale, (turn - WEST * 10) * scale, NORTH * 10 * scale);
      paper.fill(this.land);
    }
    paper.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paintGrid();
    for (const quake of this.#settled) this.circle(paper, quake, SETTLED_ALPHA);
  }

  paintGrid() {
    const { paper, width, height, colours } = this;
    paper.strokeStyle = colours.grid;
    paper.lineWidth = 1;
    paper.beginPath();
    for (let lon = 0; lon < 360; lon += 30) line(paper, this.x(lon), 0, this.x(lon), height);
    for (let lat = -30; lat < NORTH; lat += 30) line(paper, 0, this.y(lat), width, this.y(lat));
    paper.stroke();
  }

  x(lon) {
    return (((lon - WEST + 360) % 360) / 360) * this.width;
  }

  y(lat) {
    return ((NORTH - lat) / (NORTH - SOUTH)) * this.height;
  }

  /** `quake` as the feed has it plus `shownAt`, the page's clock when it came (0: long ago). */
  add(quake) {
    this.#fresh.push(quake);
  }

  clear() {
    this.#fresh = [];
    this.#settled = [];
    this.paintBackground();
  }

  /** The earthquake to point out, or null. */
  mark(quake) {
    this.#marked = quake;
  }

  /** The earthquake nearest to a point of the canvas, if one is near. */
  at(x, y) {
    let best = null;
    let bestDistance = POINT_PX ** 2;
    for (const quake of [...this.#settled, ...this.#fresh]) {
      const distance = (this.x(quake.lon) - x) ** 2 + (this.y(quake.lat) - y) ** 2;
      if (distance <= bestDistance) [best, bestDistance] = [quake, distance];
    }
    return best;
  }

  draw(feedNow) {
    const { context } = this;
    context.drawImage(this.background, 0, 0, this.width, this.height);
    const now = performance.now();
    let kept = 0;
    for (const quake of this.#fresh) {
      const age = Math.max(0, (feedNow - quake.time) / FADE_FEED_MS);
      if (age >= 1) {
        this.#settled.push(quake);
        this.circle(this.paper, quake, SETTLED_ALPHA);
        continue;
      }
      this.#fresh[kept++] = quake;
      this.circle(context, quake, 1 - age * (1 - SETTLED_ALPHA));
      this.ripple(quake, (now - quake.shownAt) / RIPPLE_MS);
      if (quake.mag >= LABEL_MAG && age < LABEL_AGE) this.label(quake, 1 - age / LABEL_AGE);
    }
    this.#fresh.length = kept;
    if (this.#marked) this.pointOut(this.#marked);
  }

  circle(context, quake, alpha) {
    const colour = depthColour(this.colours, quake.depth);
    context.beginPath();
    context.arc(this.x(quake.lon), this.y(quake.lat), radius(quake.mag, this.width), 0, 2 * Math.PI);
    context.globalAlpha = alpha * 0.45;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = alpha;
    context.lineWidth = 1.2;
    context.strokeStyle = colour;
    context.stroke();
    context.globalAlpha = 1;
  }

  ripple(quake, progress) {
    if (progress >= 1 || still.matches) return;
    const { context } = this;
    context.beginPath();
    context.arc(this.x(quake.lon), this.y(quake.lat), radius(quake.mag, this.width) * (1 + 3.2 * progress) + 6 * progress, 0, 2 * Math.PI);
    context.globalAlpha = (1 - progress) ** 2;
    context.lineWidth = 2;
    context.strokeStyle = depthColour(this.colours, quake.depth);
    context.stroke();
    context.globalAlpha = 1;
  }

  /** The magnitude beside a strong one, fading before the circle does. */
  label(quake, alpha) {
    const { context } = this;
    context.globalAlpha = Math.sqrt(alpha);
    context.font = '600 12px system-ui, sans-serif';
    context.textBaseline = 'middle';
    context.fillStyle = this.colours.strong;
    context.fillText(quake.mag.toFixed(1), this.x(quake.lon) + radius(quake.mag, this.width) + 4, this.y(quake.lat));
    context.globalAlpha = 1;
  }

  pointOut(quake) {
    const { context } = this;
    context.beginPath();
    context.arc(this.x(quake.lon), this.y(quake.lat), radius(quake.mag, this.width) + 5, 0, 2 * Math.PI);
    context.lineWidth = 2;
    context.strokeStyle = this.colours.strong;
    context.stroke();
  }
}

function line(context, fromX, fromY, toX, toY) {
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
}
