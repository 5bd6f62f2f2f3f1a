// The log's files as a tape: what is in each, who holds them from where on, and what a pruning would free.

import { h, s } from "./build.js";
import { bytes, count, plural } from "./words.js";

const TAPE = 46;
const ROW = 24;
/** On a screen narrower than that the words stand in a line above what they are of. */
const NARROW = 700;
const ROW_NARROW = 40;

const holderName = (held) => {
  switch (held.kind) {
    case "consumer": return held.name;
    case "pin": return `pin ${held.name}`;
    case "min_count": return held.checkpoints === 1 ? "the newest checkpoint" : `the newest ${count(held.checkpoints)}`;
    default: return "young ones (min_age)";
  }
};

/** As wide as there is room, so that its words are as large as all others. */
export const segments = (space, room) => {
  const width = Math.max(room, 280);
  const narrow = width < NARROW;
  const row = narrow ? ROW_NARROW : ROW;
  const { cells, holders } = space;
  if (cells.length === 0) return h("p", { class: "none" }, "The log has no segments yet.");
  const shown = holders.slice(0, 12);
  const total = cells.reduce((sum, cell) => sum + cell.bytes, 0);
  // A tiny first segment beside a large one has to be seen, too.
  const least = width / Math.max(cells.length * 3, 24);
  const rest = Math.max(width - least * cells.length, 0);
  let at = 0;
  const places = cells.map((cell) => {
    const share = least + (rest * cell.bytes) / total;
    at += share;
    return { x: at - share, width: share };
  });
  const gone = cells.filter((cell) => cell.to < cells[0].from + space.reclaimable_segments).length;
  const height = TAPE + 8 + shown.length * row;
  const drawing = s("svg", { class: "tape", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": tell(space) },
    cells.map((cell, n) => drawCell(cell, places[n])),
    gone > 0 && s("rect", { class: "gone", x: 1, y: -3, width: places[gone - 1].x + places[gone - 1].width - 2, height: TAPE + 6, rx: 6 }),
    shown.map((held, n) => drawHolder(held, cells, places, { y: TAPE + 8 + n * row, width, narrow })));
  return [drawing, legend(space), holders.length > shown.length && h("p", { class: "small quiet" }, `and ${plural(holders.length - shown.length, "more holder")}`)];
};

const tell = (space) => `${plural(space.segments, "segment")}, ${bytes(space.segment_bytes)}; a pruning would free ${bytes(space.reclaimable_bytes)}`;

const drawCell = (cell, { x, width }) => {
  const kinds = ["record", "dead", "bookkeeping", "free"];
  let top = 0;
  const parts = kinds.map((kind) => {
    const height = (TAPE * cell[`${kind}_bytes`]) / Math.max(cell.bytes, 1);
    top += height;
    return s("rect", { class: kind === "bookkeeping" ? "book" : kind, x, y: TAPE - top, width, height });
  });
  const name = cell.from === cell.to ? `segment ${cell.from}` : `segments ${cell.from} to ${cell.to}`;
  const checkpoints = cell.first === null ? "no checkpoint ends here" : `checkpoints ${count(cell.first)} to ${count(cell.last)}`;
  const text = `${name}: ${bytes(cell.bytes)}, ${checkpoints}\nrecords ${bytes(cell.record_bytes)}, dead ${bytes(cell.dead_bytes)}, bookkeeping ${bytes(cell.bookkeeping_bytes)}, free ${bytes(cell.free_bytes)}`;
  return s("g", { class: "cell" }, parts, s("rect", { class: "frame", x, y: 0, width, height: TAPE, rx: 3 }), s("title", {}, text));
};

const drawHolder = (held, cells, places, { y, width, narrow }) => {
  const at = Math.max(cells.findIndex((cell) => cell.to >= held.first_segment), 0);
  const x = places[at].x;
  const alone = held.alone_bytes > 0 ? `, ${bytes(held.alone_bytes)} alone` : "";
  const whole = `${holderName(held)} from checkpoint ${count(held.from)}: ${bytes(held.bytes)}${alone}`;
  const text = narrow ? `${holderName(held)} from ${count(held.from)}: ${bytes(held.bytes)}` : whole;
  const bar = narrow ? { y: y + 20, height: 14 } : { y: y + 3, height: ROW - 6 };
  // Where little room is left behind the line, the words stand before it.
  const before = x > width * 0.62;
  const words = narrow ? { x: 0, y: y + 14 } : { x: before ? x - 8 : x + 9, y: y + ROW / 2 + 4, "text-anchor": before ? "end" : "start" };
  return s("g", {},
    s("rect", { class: "hold", x, ...bar, width: width - x, rx: 4 }),
    s("line", { class: "hold-from", x1: x + 1, x2: x + 1, y1: bar.y - 2, y2: bar.y + bar.height + 2 }),
    s("text", words, text), s("title", {}, whole));
};

const legend = (space) => {
  const key = (kind, name, size) => h("span", {}, h("i", { class: `k-${kind}` }), `${name} ${bytes(size)}`);
  return h("div", { class: "legend" },
    key("record", "records", space.record_bytes), key("dead", "dead", space.dead_bytes), key("book", "bookkeeping", space.bookkeeping_bytes),
    key("free", "free", space.free_bytes), key("gone", "a pruning would free", space.reclaimable_bytes),
    h("span", {}, `beside them: bases ${bytes(space.base_bytes)}, spare ${bytes(space.spare_bytes)}, set aside ${bytes(space.aside_bytes)}, reserve ${bytes(space.reserve_bytes)}`));
};
