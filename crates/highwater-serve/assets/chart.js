// Charts, drawn as SVG in the page's own colours.

import { s } from "./build.js";

const WIDTH = 560;
const HEIGHT = 168;
const LEFT = 46;
const BOTTOM = 22;
const TOP = 10;

const y = (value, max) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / max);

/** Round numbers for an axis: the next of 1, 2, 5 with zeros. */
const roundUp = (n) => {
  if (n <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].find((step) => step * size >= n) * size;
};

const frame = (label, max, shown, from, to, content) => {
  const levels = [0, 0.5, 1].map((share) => [
    s("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: y(share, 1), y2: y(share, 1) }),
    s("text", { x: LEFT - 8, y: y(share, 1) + 4, "text-anchor": "end" }, share === 0 ? "0" : shown(max * share)),
  ]);
  const times = [
    s("text", { x: LEFT, y: HEIGHT - 4 }, from),
    s("text", { x: WIDTH, y: HEIGHT - 4, "text-anchor": "end" }, to),
  ];
  return s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label }, levels, content, times);
};

/** Bars over time. `tell(n)` says what one is. */
export const bars = (label, values, { shown, from, to, tell }) => {
  const max = roundUp(Math.max(...values, 1));
  const step = (WIDTH - LEFT) / values.length;
  const bar = (value, n) => {
    if (value === 0) return null;
    const top = Math.min(y(value, max), y(0, 1) - 1.5);
    const shape = { x: LEFT + n * step + step * 0.1, y: top, width: step * 0.8, height: y(0, 1) - top, rx: Math.min(1.5, step / 4) };
    return s("rect", shape, s("title", {}, tell(n)));
  };
  return frame(label, max, shown, from, to, s("g", { class: "bars" }, values.map(bar)));
};

/** Lines over time: `lines` are `{ class, values }`, `null` where there is none. The y axis is logarithmic. */
export const lines = (label, times, series, { shown, from, to }) => {
  const all = series.flatMap((line) => line.values).filter((value) => value !== null && value > 0);
  const low = Math.min(...all, 1000) / 2;
  const high = Math.max(...all, 2000) * 1.5;
  const share = (value) => Math.log(Math.max(value, low) / low) / Math.log(high / low);
  const span = Math.max(times[times.length - 1] - times[0], 1);
  const x = (n) => LEFT + ((WIDTH - LEFT) * (times[n] - times[0])) / span;
  const path = (values) => {
    const points = values.map((value, n) => (value === null ? null : `${x(n).toFixed(1)},${y(share(value), 1).toFixed(1)}`));
    return points.filter(Boolean).map((point, n) => `${n ? "L" : "M"}${point}`).join("");
  };
  const levels = [0, 0.5, 1].map((at) => [
    s("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: y(at, 1), y2: y(at, 1) }),
    s("text", { x: LEFT - 8, y: y(at, 1) + 4, "text-anchor": "end" }, shown(low * (high / low) ** at)),
  ]);
  const ends = [s("text", { x: LEFT, y: HEIGHT - 4 }, from), s("text", { x: WIDTH, y: HEIGHT - 4, "text-anchor": "end" }, to)];
  const drawn = series.map((line) => s("path", { class: `line ${line.class}`, d: path(line.values) }));
  return s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label }, levels, drawn, ends);
};
