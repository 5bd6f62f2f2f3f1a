// The streams: a page of them, to search and to sort.

import { ask } from "./ask.js";
import { card, fill, h, table } from "./build.js";
import { ago, bytes, count, named, plural } from "./words.js";

const PAGE = 50;
const view = { q: "", sort: "registered", offset: 0 };

const COLUMNS = [
  { name: "Stream", width: "26%" }, { name: "Cursor" }, { name: "Set", width: "110" },
  { name: "Records", number: true, width: "100" }, { name: "Bytes", number: true, width: "92" }, { name: "Last records", width: "130" },
];

const SORTS = [["registered", "as registered"], ["name", "by name"], ["newest", "newest first"], ["oldest", "longest without records first"], ["records", "most records first"]];

/** The address of a state's page. */
export const addressOf = (stream) => {
  if (!stream) return "#/state?global=true";
  const words = { stream: stream.name };
  if (stream.namespace !== undefined && stream.namespace !== null) words.namespace = stream.namespace;
  return `#/state?${new URLSearchParams(words)}`;
};

export const streams = (root) => {
  const list = h("div");
  const note = h("span", { class: "quiet small", role: "status" });
  const change = (more) => {
    Object.assign(view, more);
    return draw();
  };
  const search = h("input", {
    type: "search", placeholder: "Find a stream   ( / )", "aria-label": "Find a stream", value: view.q, id: "search",
    oninput: (event) => change({ q: event.target.value, offset: 0 }),
  });
  const sort = h("select", { "aria-label": "Order", onchange: (event) => change({ sort: event.target.value, offset: 0 }) },
    SORTS.map(([value, text]) => h("option", { value, selected: value === view.sort }, text)));
  const back = h("button", { type: "button", onclick: () => change({ offset: Math.max(view.offset - PAGE, 0) }) }, "Back");
  const on = h("button", { type: "button", onclick: () => change({ offset: view.offset + PAGE }) }, "On");
  const global = h("a", { href: addressOf(null), class: "small" }, "the global state");
  let asked = 0;
  const draw = async () => {
    const mine = ++asked;
    const found = await ask("streams", { ...view, limit: PAGE });
    // A slow answer to an earlier question comes too late.
    if (mine !== asked) return;
    const last = Math.min(found.offset + PAGE, found.matching);
    note.textContent = found.matching === 0 ? "none" : `${count(found.offset + 1)} to ${count(last)} of ${count(found.matching)}`;
    back.disabled = found.offset === 0;
    on.disabled = last >= found.matching;
    fill(list, found, () => draws(found));
  };
  root.replaceChildren(h("div", { class: "grid" }, card("Streams", "", list, h("div", { class: "bar" }, global, search, sort, note, back, on))));
  return draw;
};

const draws = (found) => {
  if (found.streams.length === 0) return h("p", { class: "none" }, found.total === 0 ? "No stream is registered." : "No stream has that in its name.");
  const rows = found.streams.map((stream) => [
    h("span", { title: named(stream) }, named(stream)),
    stream.state ? h("span", { class: "mono", title: stream.state.text }, stream.state.text) : h("span", { class: "quiet" }, "none"),
    stream.state ? (stream.state.since_us ? ago(stream.state.since_us) : `by ${count(stream.state.since)}`) : "–",
    count(stream.records), bytes(stream.bytes), stream.last_us ? ago(stream.last_us) : h("span", { class: "quiet" }, "none"),
  ]);
  const open = (at) => (location.hash = addressOf(found.streams[at]));
  const note = found.counted_from > 1 && h("p", { class: "small quiet" }, `Counts are of the checkpoints from ${count(found.counted_from)} on; what came before is pruned.`);
  return [table(COLUMNS, rows, open), note, found.total > found.matching && h("p", { class: "small quiet" }, `${plural(found.total, "stream")} in all`)];
};
