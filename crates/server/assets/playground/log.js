// The list of frames of one panel: newest first, bounded, drawn a few times a second.

import { make, paced, pretty } from './dom.js';

const ENTRIES_MAX = 200; // more is a scroll nobody reads, and DOM that a fast channel would pay for
const RAW_CHARS_MAX = 400; // of a one-line view; the whole frame is in the unfolded one

export class FrameLog {
  #fresh = [];
  #paused = false;
  #filter = '';

  constructor(list) {
    this.list = list;
    this.schedule = paced(() => this.draw());
  }

  add(entry) {
    this.#fresh.push(entry);
    if (this.#fresh.length > ENTRIES_MAX) this.#fresh.shift();
    if (!this.#paused) this.schedule();
  }

  /** Paused, frames are still counted and the last ones kept. */
  set paused(value) {
    this.#paused = value;
    this.schedule();
  }

  set filter(text) {
    this.#filter = text.toLowerCase();
    for (const item of this.list.children) item.hidden = !this.matches(item.entry);
  }

  clear() {
    this.#fresh = [];
    this.list.replaceChildren();
  }

  matches(entry) {
    return `${entry.name} ${entry.raw}`.toLowerCase().includes(this.#filter);
  }

  draw() {
    if (this.#paused) return;
    const items = this.#fresh.reverse().map((entry) => this.item(entry));
    this.#fresh = [];
    this.list.prepend(...items);
    while (this.list.children.length > ENTRIES_MAX) this.list.lastChild.remove();
  }

  item(entry) {
    const outward = entry.direction === 'out';
    const detail = make('pre');
    const details = make('details', {},
      make('summary', {},
        make('span', { className: 'arrow', textContent: outward ? '↑' : '↓', ariaLabel: outward ? 'sent' : 'received' }),
        make('time', { textContent: clock(entry.at) }),
        make('span', { className: `tag ${tone(entry)}`, textContent: entry.name }),
        make('code', { textContent: entry.raw.slice(0, RAW_CHARS_MAX).replaceAll('\n', ' ⏎ ') })),
      detail);
    details.addEventListener('toggle', () => {
      if (details.open) detail.replaceChildren(pretty(entry.value));
    }, { once: true });
    const item = make('li', { className: outward ? 'out' : 'in' }, details);
    item.entry = entry;
    item.hidden = !this.matches(entry);
    return item;
  }
}

/** Local wall clock with milliseconds. */
function clock(at) {
  const date = new Date(at);
  const two = (number) => String(number).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function tone({ direction, name, frame, answer }) {
  if (name === 'gap' || name === '$gap' || frame?.op === 'error') return 'alarm';
  if (direction === 'out' || answer) return 'quiet';
  return frame && frame.op !== 'message' ? 'quiet' : 'message';
}
