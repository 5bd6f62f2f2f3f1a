// The checkpoints, newest first, and one of them in full.

import { ask } from "./ask.js";
import { card, fill, h, table } from "./build.js";
import { rewindTo } from "./change.js";
import { addressOf } from "./streams.js";
import { ago, bytes, count, named, plural, when } from "./words.js";

const PAGE = 50;
const COLUMNS = [
  { name: "Number", number: true, width: "96" }, { name: "Committed", width: "190" }, { name: "Age", width: "110" }, { name: "Records", number: true, width: "90" },
  { name: "Bytes", number: true, width: "90" }, { name: "States", number: true, width: "64" }, { name: "Streams" },
];

export const checkpoints = (root, words, seen) => {
  let before = Number(words.get("before")) || null;
  const [list, one] = [h("div"), h("div")];
  const note = h("span", { class: "quiet small", role: "status" });
  const go = h("input", { type: "number", min: 1, placeholder: "number", "aria-label": "Go to checkpoint", onkeydown: (event) => event.key === "Enter" && to(Number(event.target.value) + 1) });
  const newest = h("button", { type: "button", onclick: () => to(null) }, "Newest");
  const newer = h("button", { type: "button", onclick: () => to(before + PAGE) }, "Newer");
  const older = h("button", { type: "button", onclick: () => to(shown.checkpoints[shown.checkpoints.length - 1].sequence) }, "Older");
  let shown = null;
  const to = (place) => {
    before = place;
    return draw();
  };
  const draw = async () => {
    shown = await ask("checkpoints", { before, limit: PAGE });
    if (before !== null && before > shown.last) before = null;
    const last = shown.checkpoints[shown.checkpoints.length - 1]?.sequence ?? 0;
    newest.disabled = newer.disabled = before === null;
    older.disabled = last <= shown.first;
    note.textContent = shown.last === 0 ? "none yet" : `${count(shown.first)} to ${count(shown.last)} are kept`;
    fill(list, shown.checkpoints, () => (shown.checkpoints.length ? table(COLUMNS, shown.checkpoints.map(row), (at) => open(shown.checkpoints[at].sequence)) : h("p", { class: "none" }, "Nothing is committed yet.")));
  };
  const open = async (sequence) => {
    const found = await ask("checkpoint", { sequence });
    fill(one, found, () => full(found, seen, draw));
    one.scrollIntoView({ block: "nearest" });
  };
  root.replaceChildren(h("div", { class: "grid" }, h("div", { class: "card" }, one, h("header", {}, h("h3", {}, "Checkpoints"), h("div", { class: "bar" }, note, go, newest, newer, older)), list)));
  if (words.get("open")) open(Number(words.get("open")));
  // Older ones do not change.
  return () => (before === null || shown === null ? draw() : undefined);
};

const byHand = (operation) => operation && h("span", { class: "tag hand", title: [operation.what, operation.who, operation.why].filter(Boolean).join(", ") }, operation.what.split(" ")[0] || "by hand");

const row = (one) => {
  const names = one.names.map(named).join(", ");
  const more = one.streams > one.names.length ? ` and ${one.streams - one.names.length} more` : "";
  return [count(one.sequence), when(one.time_us), ago(one.time_us), count(one.records), bytes(one.bytes), count(one.states),
    h("span", { title: names + more }, byHand(one.operation), one.compacted_from !== null && h("span", { class: "tag" }, `from ${count(one.compacted_from)}`), " ", names, more)];
};

const full = (one, seen, again) => {
  const tools = seen.writable && h("button", { type: "button", onclick: () => rewindTo(one.sequence, null, again) }, "Rewind to this");
  const counts = one.counts.map((of) => [h("a", { href: addressOf(of.name) }, named(of.name)), count(of.records), bytes(of.bytes)]);
  const states = one.changed.map((of) => h("li", {}, h("a", { href: addressOf(of.stream) }, named(of.stream)), of.cleared && [" ", h("span", { class: "tag look" }, "cleared")]));
  return [
    h("header", {}, h("h3", {}, `Checkpoint ${count(one.sequence)}`), h("div", { class: "bar" }, tools)),
    h("p", { class: "quiet small" }, when(one.time_us), h("span", { class: "mono" }, `  ${one.id}`)),
    one.operation && h("p", {}, h("span", { class: "tag hand" }, "by hand"), ` ${one.operation.what}`, one.operation.who && `, by ${one.operation.who}`, one.operation.why && `: ${one.operation.why}`),
    one.labels.length > 0 && h("p", { class: "small" }, one.labels.map(([name, value]) => [h("span", { class: "tag" }, `${name} ${value}`), " "])),
    h("div", { class: "grid" },
      h("div", { class: "two-thirds" }, counts.length ? table([{ name: "Stream" }, { name: "Records", number: true, width: "110" }, { name: "Bytes", number: true, width: "110" }], counts) : h("p", { class: "none" }, "It has no records.")),
      h("div", { class: "third" }, h("h3", {}, plural(one.states, "state"), " changed"), h("ul", { class: "small" }, states))),
  ];
};
