// Numbers and times as people read them.

import { h } from "./build.js";

const grouped = new Intl.NumberFormat("en");
export const count = (n) => grouped.format(n);
export const plural = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** 12,345 or 1.23 M: never wider than a tile. */
export const short = (n) => {
  if (n < 100_000) return count(n);
  const [unit, size] = n < 1e6 ? ["k", 1e3] : n < 1e9 ? ["M", 1e6] : ["G", 1e9];
  return `${(n / size).toPrecision(3)} ${unit}`;
};

export const bytes = (n) => {
  if (n === null || n === undefined) return "–";
  if (n < 1024) return `${n} B`;
  let unit = "B";
  for (const next of ["KiB", "MiB", "GiB", "TiB", "PiB"]) {
    if (n < 1024) break;
    n /= 1024;
    unit = next;
  }
  return `${n < 100 ? n.toFixed(1) : Math.round(n)} ${unit}`;
};

/** About how long, in microseconds. */
export const span = (us) => {
  if (us === null || us === undefined) return "–";
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${+(us / 1000).toPrecision(2)} ms`;
  const s = us / 1e6;
  if (s < 10) return `${+s.toPrecision(2)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
};

const clock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
export const when = (us) => clock.format(new Date(us / 1000));

/** How far the server's clock is ahead, in microseconds. */
let ahead = 0;
export const setClock = (now) => (ahead = now - Date.now() * 1000);
const since = (us) => Math.max(0, Date.now() * 1000 + ahead - us);
const agoText = (us) => (since(us) < 1e6 ? "just now" : `${span(Math.floor(since(us) / 1e6) * 1e6)} ago`);

/** "3 s ago", and so on as time goes by. */
export const ago = (us) => {
  if (us === null || us === undefined) return "–";
  return h("time", { "data-us": us, title: when(us) }, agoText(us));
};
setInterval(() => {
  for (const time of document.querySelectorAll("time[data-us]")) {
    const text = agoText(Number(time.dataset.us));
    if (time.textContent !== text) time.textContent = text;
  }
}, 1000);

/** A stream's name. An absent namespace is not the empty one. */
export const named = (stream) => {
  if (!stream) return "the global state";
  return stream.namespace === undefined || stream.namespace === null ? stream.name : `${stream.namespace || '""'}.${stream.name}`;
};
