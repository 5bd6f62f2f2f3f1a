// Which view is shown, and the pulse that keeps it true.

import { ask } from "./ask.js";
import { command, fill, h } from "./build.js";
import { unlock } from "./change.js";
import { checkpoints } from "./checkpoints.js";
import { overview } from "./overview.js";
import { past } from "./past.js";
import { state } from "./state.js";
import { streams } from "./streams.js";
import { count, setClock } from "./words.js";

const EVERY_MS = 2000;
const VIEWS = { overview, streams, state, checkpoints, past };
const $ = (id) => document.getElementById(id);

let refresh = null;
let seen = null;

/** The address: `#/checkpoints?before=50`. */
const place = () => {
  const [path, words] = location.hash.replace(/^#\/?/, "").split("?");
  const name = Object.hasOwn(VIEWS, path) ? path : "overview";
  return { name, words: new URLSearchParams(words) };
};

const show = async () => {
  if (!seen) return;
  const { name, words } = place();
  for (const link of document.querySelectorAll("nav a")) {
    const is = link.dataset.view === name || (name === "state" && link.dataset.view === "streams");
    if (is) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.classList.remove("waiting");
  refresh = VIEWS[name]($("view"), words, seen);
  await refresh(seen);
  performance.mark(`shown-${name}`);
};

const drawVerdict = ({ verdict }) => {
  const root = $("verdict");
  root.dataset.level = verdict.level;
  fill(root.lastElementChild, verdict, () => [
    h("h2", {}, verdict.text),
    verdict.reasons.length > 0 && h("ul", {}, verdict.reasons.map((reason) => h("li", {}, h("span", {}, reason.text), reason.next && command(reason.next)))),
  ]);
};

const drawHead = ({ name, log, reading }) => {
  document.title = `${name} – Highwater`;
  $("name").textContent = name;
  $("where").textContent = [log.path, log.live ? log.holder : "nobody writes it now"].join("  ·  ");
  const todo = Math.max((log.end?.sequence ?? 0) + 1 - reading.next, 0);
  $("state").textContent = reading.trouble ? `reading does not go on: ${reading.trouble}` : !reading.done ? `the history is being read: ${count(todo)} checkpoints to go` : `log ${log.log}`;
};

/** What to say when nothing is answered. */
const drawAway = (error) => {
  const root = $("verdict");
  root.dataset.level = "act";
  fill(root.lastElementChild, error.message, () => [
    h("h2", {}, error.kind === "corrupt" ? "The log is damaged" : "The log can't be read"),
    h("ul", {}, h("li", {}, h("span", {}, error.message), error.next && command(error.next))),
  ]);
  if (seen) return;
  document.body.classList.remove("waiting");
  $("view").replaceChildren(h("p", { class: "none" }, "The rest is shown as soon as it can be read."));
};

const pulse = async () => {
  try {
    const first = seen === null;
    seen = await ask("overview");
    setClock(seen.now_us);
    drawVerdict(seen);
    drawHead(seen);
    if (first) await show();
    else if (!document.hidden) await refresh?.(seen);
  } catch (error) {
    if (error.status === 401 && seen === null) return unlock(pulse);
    drawAway(error);
  }
  setTimeout(pulse, EVERY_MS);
};

addEventListener("hashchange", async () => {
  await show().catch(drawAway);
  $("view").focus({ preventScroll: true });
  scrollTo(0, 0);
});
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, dialog");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  if ($("search")) return $("search").focus();
  location.hash = "#/streams";
  setTimeout(() => $("search")?.focus(), 100);
});

pulse();
