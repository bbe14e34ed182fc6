// Small helpers for the page: elements, clipboard, numbers and JSON as text nodes.
// Rule: whatever came over the wire enters the document through textContent only.

/** Elements of `root` marked `data-ref`, by that name. */
export function refs(root) {
  const found = {};
  for (const element of root.querySelectorAll('[data-ref]')) found[element.dataset.ref] = element;
  return found;
}

/** A new element with properties and children; strings become text. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const PACE_MS = 200; // five times a second is live to the eye and cheap under a flood

/** Calls `draw` in the next animation frame, but then not again for a while, however often the result is called. */
export function paced(draw) {
  let scheduled = false;
  let drawnAt = -Infinity;
  return () => {
    if (scheduled) return;
    scheduled = true;
    setTimeout(() => requestAnimationFrame(() => {
      scheduled = false;
      drawnAt = performance.now();
      draw();
    }), Math.max(0, drawnAt + PACE_MS - performance.now()));
  };
}

/** Copies `text`; says whether it worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no permission, or a page that is not a secure context
  }
}

/** 12345 → "12,345". */
export const count = (value) => value.toLocaleString('en');

/** Bytes with a unit, three digits at most. */
export function bytes(value) {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toPrecision(3)} kB`;
  return `${(value / 1e6).toPrecision(3)} MB`;
}

/** Milliseconds with a unit. */
export function millis(value) {
  if (value < 1) return '< 1 ms';
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

/** The middle of some numbers; undefined for none. */
export function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** The value that `text` is as JSON, or `text` itself. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*|true|false|null)/g;

/** A value as indented JSON whose keys, strings and other scalars are spans. */
export function pretty(value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [whole, string, colon] = match;
    const kind = colon ? 'key' : string ? 'string' : 'scalar';
    const word = string ?? whole;
    fragment.append(text.slice(end, match.index), make('span', { className: `json-${kind}`, textContent: word }));
    end = match.index + word.length;
  }
  fragment.append(text.slice(end));
  return fragment;
}
