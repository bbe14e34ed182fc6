// What both plots share: crisp canvases, colours of the page's theme, and the look of an earthquake.

/** Sizes `canvas` to its box in device pixels; returns its context in CSS pixels, with width and height. */
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height, ratio };
}

/** The colours that the style sheet gives the plots in the current theme. */
export function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    ocean: colour('ocean'), land: colour('land'), grid: colour('grid'), text: colour('muted'), strong: colour('text'),
    depths: [colour('depth-0'), colour('depth-1'), colour('depth-2'), colour('depth-3')],
  };
}

const DEPTH_KM = [20, 70, 300]; // shallow crust, crust, intermediate, deep: the usual classes

/** The colour for a depth in km. */
export function depthColour(colours, depth) {
  const index = DEPTH_KM.findIndex((limit) => depth < limit);
  return colours.depths[index === -1 ? 3 : index];
}

/** Radius in CSS pixels on a map `width` wide: energy grows far too fast to draw, so this is a gentle exponent. */
export function radius(mag, width) {
  const scale = Math.min(1.25, Math.max(0.6, width / 800));
  return scale * (1 + 0.62 * 1.6 ** Math.max(0, mag));
}
