// One state: its history, and what each change was, side by side.

import { ask, which } from "./ask.js";
import { card, fill, h } from "./build.js";
import { clearState, editState } from "./change.js";
import { ago, count, named, when } from "./words.js";

export const state = (root, words, seen) => {
  const stream = words.get("global") ? null : { name: words.get("stream"), namespace: words.get("namespace") ?? undefined };
  const [times, sides] = [h("div", { class: "timeline" }), h("div")];
  const of = { entries: [], more: false, at: 0 };
  const draw = () => {
    fill(times, [of.entries, of.at, of.more], () => drawTimes(of, choose, older));
    return drawSides(sides, stream, of);
  };
  const choose = (at) => {
    of.at = at;
    return draw();
  };
  const load = async (before) => {
    const found = await ask("history", { ...which(stream), before, limit: 50 });
    of.entries = before ? [...of.entries, ...found.entries] : found.entries;
    of.more = found.more;
    of.from = found.known_from;
    return draw();
  };
  const older = () => load(of.entries[of.entries.length - 1].sequence);
  const tools = seen.writable && h("div", { class: "bar" },
    h("button", { type: "button", onclick: () => editState(stream, of.entries[0]?.state?.pretty ?? "{}", load) }, "Edit"),
    h("button", { type: "button", disabled: false, onclick: () => clearState(stream, load) }, "Clear"));
  root.replaceChildren(h("div", { class: "grid" },
    card(named(stream), "", h("p", { class: "quiet small" }, "Each change of this state, as the log keeps it. ", h("a", { href: "#/streams" }, "All streams")), tools),
    card("History", "third", times), card("What changed", "two-thirds", sides)));
  let known = null;
  // A new checkpoint may have changed it; what somebody looks at stays.
  return async (now) => {
    const last = now.log.end?.sequence ?? 0;
    if (known === last || of.at > 0) return;
    known = last;
    await load();
  };
};

const drawTimes = (of, choose, older) => {
  if (of.entries.length === 0) return h("p", { class: "none" }, "No checkpoint that is kept has changed it.");
  const entry = (one, n) => h("button", { type: "button", "aria-current": String(n === of.at), onclick: () => choose(n) },
    h("strong", {}, `checkpoint ${count(one.sequence)}`), " ", one.state === null && h("span", { class: "tag look" }, "cleared"), " ",
    one.operation && h("span", { class: "tag hand" }, "by hand"),
    h("div", { class: "small quiet" }, when(one.time_us), ", ", ago(one.time_us)),
    one.operation && h("div", { class: "small what" }, one.operation.what, one.operation.who && `, by ${one.operation.who}`, one.operation.why && `: ${one.operation.why}`));
  return [of.entries.map(entry), of.more && h("button", { type: "button", class: "plain", onclick: older }, "older")];
};

const drawSides = async (root, stream, of) => {
  const entry = of.entries[of.at];
  if (!entry) return fill(root, null, () => h("p", { class: "none" }, "Nothing to compare."));
  const before = of.entries[of.at + 1];
  const old = before ? before.state : entry.sequence > (of.from ?? 1) ? await earlier(stream, entry.sequence) : null;
  fill(root, [old, entry], () => compare(old, entry.state, before ? `checkpoint ${count(before.sequence)}` : "before", `checkpoint ${count(entry.sequence)}`));
};

/** What it was before the oldest change that is shown; `null` where nobody knows any more. */
const earlier = async (stream, sequence) => {
  const found = await ask("difference", { ...which(stream), from: sequence - 1, to: sequence }).catch(() => null);
  return found?.from.state ?? null;
};

/** Two texts, line by line. */
export const compare = (old, now, oldName, newName) => {
  const [left, right] = [old?.pretty.split("\n") ?? [], now?.pretty.split("\n") ?? []];
  const rows = align(left, right);
  const side = (name, text, at, kind) => h("div", { tabindex: 0, role: "group", "aria-label": name }, h("div", { class: "head" }, h("span", { class: "quiet small" }, name, text === null && ": not set", text?.cut && ": only its beginning")),
    h("pre", {}, rows.map((row) => h("span", { class: row.same ? null : row[at] === null ? "gap" : kind }, row[at] === null ? " " : row[at] || " "))));
  return h("div", { class: "sides" }, side(oldName, old, 0, "drop"), side(newName, now, 1, "add"));
};

/** Lines side by side: equal ones beside each other, by the longest common subsequence of what lies between head and tail. */
export const align = (left, right) => {
  let head = 0;
  while (head < left.length && head < right.length && left[head] === right[head]) head++;
  let tail = 0;
  while (tail < Math.min(left.length, right.length) - head && left[left.length - 1 - tail] === right[right.length - 1 - tail]) tail++;
  const same = (line) => ({ 0: line, 1: line, same: true });
  const middle = between(left.slice(head, left.length - tail), right.slice(head, right.length - tail));
  return [...left.slice(0, head).map(same), ...middle, ...left.slice(left.length - tail).map(same)];
};

/** Beyond so many pairs of lines, whole blocks are set beside each other. */
const PAIRS_MAX = 400_000;

const between = (left, right) => {
  const [rows, columns] = [left.length, right.length];
  if (rows * columns > PAIRS_MAX) return pairs(left, right);
  const best = Array.from({ length: rows + 1 }, () => new Uint32Array(columns + 1));
  for (let a = rows - 1; a >= 0; a--) {
    for (let b = columns - 1; b >= 0; b--) best[a][b] = left[a] === right[b] ? best[a + 1][b + 1] + 1 : Math.max(best[a + 1][b], best[a][b + 1]);
  }
  const out = [];
  let [a, b, dropped, added] = [0, 0, [], []];
  const flush = () => {
    out.push(...pairs(dropped, added));
    [dropped, added] = [[], []];
  };
  while (a < rows || b < columns) {
    if (a < rows && b < columns && left[a] === right[b]) {
      flush();
      out.push({ 0: left[a++], 1: right[b++], same: true });
    } else if (b >= columns || (a < rows && best[a + 1][b] >= best[a][b + 1])) dropped.push(left[a++]);
    else added.push(right[b++]);
  }
  flush();
  return out;
};

const pairs = (left, right) => Array.from({ length: Math.max(left.length, right.length) }, (_, n) => ({ 0: left[n] ?? null, 1: right[n] ?? null, same: false }));
