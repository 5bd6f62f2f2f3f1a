// What happened: runs, failures, and what is on record beside the work of pipelines.

import { ask } from "./ask.js";
import { card, fill, h, table } from "./build.js";
import { ago, bytes, count, named, plural, span, when } from "./words.js";

const RUNS = [
  { name: "Began", width: "190" }, { name: "Attempt", number: true, width: "70" }, { name: "Took", number: true, width: "90" }, { name: "Outcome", width: "120" },
  { name: "Records", number: true, width: "100" }, { name: "Checkpoints", width: "150" }, { name: "Error" },
];

export const past = (root) => {
  const [runs, failures, audit, recovery] = [h("div"), h("div"), h("div"), h("div")];
  root.replaceChildren(h("div", { class: "grid" },
    card("Runs", "", runs), card("Last errors", "half", failures), card("Last recovery", "half", recovery), card("On record", "", audit)));
  return async (seen) => {
    fill(failures, seen.failures, () => drawFailures(seen.failures));
    const [ran, kept] = await Promise.all([ask("runs", { limit: 50 }), ask("audit")]);
    fill(runs, [ran.attempts, ran.live], () => drawRuns(ran));
    fill(recovery, [seen.writer?.opening, kept.recovery], () => drawRecovery(seen.writer?.opening, kept.recovery));
    fill(audit, kept.entries, () => drawAudit(kept.entries));
  };
};

const outcome = (attempt, live) => {
  if (!attempt.end) return live ? h("span", { class: "tag hand" }, "under way") : h("span", { class: "tag look" }, "killed");
  const kind = attempt.end.outcome === "complete" ? "well" : attempt.end.outcome === "stopped" ? "" : "act";
  return h("span", { class: `tag ${kind}` }, attempt.end.outcome);
};

const drawRuns = (ran) => {
  if (ran.attempts.length === 0) return h("p", { class: "none" }, "No run is on record: this log is not a pipeline's, or has not been one yet.");
  const rows = ran.attempts.map((attempt, n) => {
    const end = attempt.end;
    const made = end && end.first <= end.last ? `${count(end.first)} to ${count(end.last)}` : end ? "none" : "";
    return [when(attempt.started_us), count(attempt.attempt), end ? span(end.ended_us - attempt.started_us) : "", outcome(attempt, ran.live && n === 0),
      end ? count(end.records) : "", made, h("span", { title: end?.error }, end?.error ?? "")];
  });
  return [table(RUNS, rows), ran.total > ran.attempts.length && h("p", { class: "small quiet" }, `${plural(ran.total, "attempt")} are on record`)];
};

const drawFailures = (failures) => {
  if (failures.length === 0) return h("p", { class: "none" }, "None since the last run began, as far as it told.");
  return h("ul", {}, failures.slice(0, 8).map((one) => h("li", { class: "small" }, h("strong", {}, one.of), " ", h("span", { class: "tag act" }, one.kind), " ", h("span", { class: "quiet" }, ago(one.time_us)), h("div", {}, one.text))));
};

const drawRecovery = (opening, entry) => {
  const dropped = (frames, size) => `dropped ${plural(frames, "frame")} (${bytes(size)}) that no checkpoint named`;
  const of = (what) => [what.dropped_frames > 0 && dropped(what.dropped_frames, what.dropped_bytes), what.rewritten_bytes > 0 && `wrote ${bytes(what.rewritten_bytes)} again`, what.why && `the end was torn: ${what.why}`].filter(Boolean).join("; ");
  const last = opening && h("p", {}, "The last opening took ", h("strong", {}, span(Math.round(opening.took_s * 1e6))), "; ", of(opening) || "it found the log as a clean close leaves it", ".");
  const recorded = entry && h("p", { class: "small" }, h("span", { class: "quiet" }, `On record ${when(entry.time_us)}, after checkpoint ${count(entry.after)}: `), of(entry) || "nothing was lost");
  return [last, recorded, !last && !recorded && h("p", { class: "none" }, "Nothing was ever dropped, as far as segments are kept.")];
};

const signed = (one) => `${one.who ? `, by ${one.who}` : ""}${one.why ? `: ${one.why}` : ""}`;

const events = {
  opening: (one) => ["", "opened", `by ${one.who}`],
  activation: (one) => ["", "generation", `${count(one.generation)} of ${named(one.stream)} is whole, ${one.replaces ? "in the place of" : "beside"} what was there`],
  consumer: (one) => ["hand", "consumer", `${one.consumer} was ${one.to === null ? "dropped" : `moved to ${count(one.to)}`}${one.from === null ? "" : `, from ${count(one.from)}`}${signed(one)}`],
  recovery: (one) => ["look", "recovery", `dropped ${plural(one.dropped_frames, "frame")} (${bytes(one.dropped_bytes)}), wrote ${bytes(one.rewritten_bytes)} again${one.why ? `: ${one.why}` : ""}; opened by ${one.who}`],
  pruning: (one) => ["", "pruning", `the oldest checkpoint is ${count(one.first)}${one.detached.length ? `; left behind: ${one.detached.map(([name]) => name).join(", ")}` : ""}`],
  compaction: (one) => ["", "compaction", `checkpoint ${count(one.first)} tells what was before it`],
  repair: (one) => ["act", "repair", `${one.first === null ? "gave nothing up" : `gave up ${count(one.first)} to ${count(one.last)}`}: ${one.why}`],
  work: (one) => ["hand", "by hand", `${one.work}${signed(one)}`],
  operation: (one) => ["hand", "by hand", `checkpoint ${count(one.position.sequence)}: ${one.what}${signed(one)}`],
};

const drawAudit = (entries) => {
  if (entries.length === 0) return h("p", { class: "none" }, "Nothing beside the work of pipelines.");
  const rows = entries.map((one) => {
    const [kind, name, text] = (events[one.event] ?? ((other) => ["", other.event, ""]))(one);
    return [when(one.time_us), h("span", { class: `tag ${kind}` }, name), count(one.after), h("span", { title: text }, text)];
  });
  return table([{ name: "When", width: "190" }, { name: "What", width: "110" }, { name: "After", number: true, width: "96" }, { name: "Details" }], rows);
};
