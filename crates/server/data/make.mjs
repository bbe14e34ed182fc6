// Makes the two committed tables of public-domain data from the npm package `vega-datasets`.
//
// Run by hand, never by a build:
//   npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz
//   node crates/server/data/make.mjs package
//
// The output is a pure function of the input: running it again changes nothing.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = process.argv[2];
if (!source) {
  console.error('usage: node make.mjs PATH-OF-UNPACKED-vega-datasets');
  process.exit(2);
}
const here = fileURLToPath(new URL('.', import.meta.url));
const read = (name) => JSON.parse(readFileSync(join(source, 'data', name), 'utf8'));

writeFileSync(join(here, 'earthquakes.csv'), earthquakes(read('earthquakes.json')));
writeFileSync(join(here, '../assets/playground/land.json'), land(read('world-110m.json')));

/** One line per earthquake, oldest first; `place` is last and always quoted. */
function earthquakes(feed) {
  const rows = feed.features
    .filter((feature) => feature.properties.type === 'earthquake')
    .map((feature) => {
      const [lon, lat, depth] = feature.geometry.coordinates;
      const { time, mag, place } = feature.properties;
      // The reader splits at the first six commas and strips two quotes; keep that true.
      if (/["\r\n]/.test(place)) throw new Error(`place needs escaping: ${place}`);
      if (!/^[a-z0-9]+$/.test(feature.id)) throw new Error(`unexpected id: ${feature.id}`);
      return { time, line: [time, round(lon, 3), round(lat, 3), round(depth, 1), round(mag, 2), feature.id, `"${place}"`].join(',') };
    });
  rows.sort((a, b) => a.time - b.time || (a.line < b.line ? -1 : 1));
  return ['time,lon,lat,depth,mag,id,place', ...rows.map((row) => row.line), ''].join('\n');
}

/** The land of a TopoJSON world as one SVG path in tenths of a degree, y pointing down. */
function land(topology) {
  const arcs = topology.arcs.map((arc) => absolute(arc, topology.transform));
  const path = topology.objects.land.arcs
    .flatMap((polygon) => (typeof polygon[0][0] === 'number' ? polygon : polygon.flat()))
    .map((ring) => subpath(ring, arcs))
    .join('');
  return `${JSON.stringify({
    source: 'Natural Earth 1:110m land, public domain, via world-110m.json of vega-datasets 3.2.1',
    unit: 'tenths of a degree; x = longitude, y = -latitude',
    path,
  })}\n`;
}

/** Delta-coded grid steps to points in tenths of a degree. */
function absolute(arc, { scale, translate }) {
  let x = 0;
  let y = 0;
  return arc.map(([dx, dy]) => {
    x += dx;
    y += dy;
    return [Math.round((x * scale[0] + translate[0]) * 10), Math.round(-(y * scale[1] + translate[1]) * 10)];
  });
}

/** A ring of arc numbers (`~n` = arc n backwards) to `Mx,yl dx,dy …z`. */
function subpath(ring, arcs) {
  const points = ring.flatMap((index) => (index < 0 ? [...arcs[~index]].reverse() : arcs[index]));
  let [x, y] = points[0];
  let steps = '';
  for (const [nextX, nextY] of points.slice(1)) {
    const [dx, dy] = [nextX - x, nextY - y];
    if (dx === 0 && dy === 0) continue;
    steps += `${dx < 0 || steps === '' ? dx : ` ${dx}`}${dy < 0 ? dy : ` ${dy}`}`;
    [x, y] = [nextX, nextY];
  }
  return `M${points[0][0]} ${points[0][1]}l${steps}z`;
}

function round(value, digits) {
  return Number(value.toFixed(digits));
}
