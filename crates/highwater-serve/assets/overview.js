// The first screen: tiles, charts, destinations, segments.

import { ask } from "./ask.js";
import { card, choices, fill, h } from "./build.js";
import { bars, lines } from "./chart.js";
import { segments } from "./segments.js";
import { ago, bytes, count, plural, short, span, when } from "./words.js";

let range = "all";

export const overview = (root) => {
  const tiles = h("dl", { class: "tiles" }, [1, 2, 3, 4, 5].map(() => h("div", { class: "tile" })));
  const body = () => h("div", { class: "chart" });
  const [volume, latency, ways, space] = [body(), body(), h("div"), h("div")];
  const tool = h("span");
  const legend = h("span", { class: "legend", hidden: true }, h("span", {}, h("i", { class: "k-record" }), "p50"), h("span", {}, h("i", { class: "k-p99" }), "p99"));
  const ranges = () => fill(tool, range, () => choices("Range", [["1h", "1 h"], ["24h", "24 h"], ["7d", "7 d"], ["all", "all"]], range, take));
  const take = (value) => {
    range = value;
    ranges();
    drawVolume(volume);
  };
  ranges();
  root.replaceChildren(
    h("div", { class: "grid" }, tiles,
      card("Records committed", "half", volume, tool),
      card("Commit latency", "half", latency, legend),
      card("Destinations", "", ways),
      card("Segments", "", space)));
  return async (seen) => {
    drawTiles(tiles, seen);
    drawWays(ways, seen);
    await Promise.all([drawVolume(volume), drawLatency(latency, legend, seen), drawSegments(space)]);
  };
};

const tile = (name, big, under) => [h("dt", {}, name), h("dd", { class: "big" }, big), h("dd", { class: "under" }, under)];

const drawTiles = (tiles, seen) => {
  const { log, writer } = seen;
  const quick = writer && writer.commits > 0;
  const all = [
    ["Last checkpoint", log.end ? count(log.end.sequence) : "none", log.last_checkpoint_us ? ago(log.last_checkpoint_us) : "nothing is committed yet"],
    ["Records", short(log.records), `${bytes(log.bytes)} since it was made`],
    ["Streams", count(log.streams), `${plural(log.checkpoints, "checkpoint")} kept`],
    ["On disk", bytes(log.disk_bytes), log.max_size ? `of ${bytes(log.max_size)} at most` : `${bytes(log.disk_free)} free on the disk`],
    ["Commit, p99", quick ? `≤ ${span(writer.commit_p99_us)}` : "–", quick ? `p50 ≤ ${span(writer.commit_p50_us)}, ${plural(writer.commits, "commit")}` : "the writer tells nothing"],
  ];
  all.forEach(([name, big, under], n) => fill(tiles.children[n], [name, big, String(under.textContent ? under.dataset.us : under)], () => tile(name, big, under)));
};

const drawVolume = async (root) => {
  const data = await ask("series", { range });
  const { from_us: from, step_us: step, records, checkpoints } = data;
  const tell = (n) => `${when(from + n * step)}: ${plural(records[n], "record")} in ${plural(checkpoints[n], "checkpoint")}`;
  const to = from + step * records.length;
  fill(root, [range, records, checkpoints, Math.floor(from / step)], () =>
    bars("Records committed over time", records, { shown: short, from: when(from), to: when(to), tell }));
};

const drawLatency = async (root, legend, seen) => {
  const { points, buckets } = await ask("latency");
  legend.hidden = points.length <= 1; // only lines have more than one colour
  if (points.length > 1) {
    const times = points.map((point) => point.time_us);
    const series = [
      { class: "p50", values: points.map((point) => point.p50_us) },
      { class: "p99", values: points.map((point) => point.p99_us) },
    ];
    const ends = { shown: span, from: when(times[0]), to: when(times[times.length - 1]) };
    return fill(root, times, () => lines("Commit latency of the last hour", times, series, ends));
  }
  const total = buckets.reduce((sum, bucket) => sum + bucket.commits, 0);
  if (total === 0) {
    const why = seen.log.live
      ? "The process that writes this log does not tell how long its commits take."
      : "No run has left word of how long its commits took.";
    return fill(root, why, () => h("p", { class: "none" }, why, " A pipeline's run does, and so does a program that serves this page itself."));
  }
  const used = buckets.slice(0, buckets.findLastIndex((bucket) => bucket.commits > 0) + 2);
  const name = (bucket) => (bucket.to_us === null ? "longer" : `up to ${span(bucket.to_us)}`);
  const tell = (n) => `${name(used[n])}: ${plural(used[n].commits, "commit")}`;
  const ends = { shown: short, from: name(used[0]), to: name(used[used.length - 1]), tell };
  fill(root, used, () => bars("Commits by how long they took", used.map((bucket) => bucket.commits), ends));
};

const drawWays = (root, seen) => {
  const waiting = seen.pipeline?.not_begun ?? [];
  const of = [seen.consumers.map((consumer) => ({ ...consumer, lag_us: Math.floor((consumer.lag_us ?? 0) / 1e6) })), waiting, seen.log.end?.sequence];
  fill(root, of, () => {
    if (seen.consumers.length + waiting.length === 0) return h("p", { class: "none" }, "Nobody reads this log by name.");
    return [seen.consumers.map((consumer) => way(consumer, seen.log)), waiting.map((name) => h("div", { class: "way" }, h("strong", { class: "one-line" }, name), h("span", { class: "quiet" }, "has not begun"), h("span")))];
  });
};

const way = (consumer, log) => {
  const last = log.end?.sequence ?? 0;
  const first = Math.max(log.first, 1) - 1;
  const late = consumer.diverged || consumer.lag_us > 3_600_000_000 || consumer.delivery?.given_up || consumer.delivery?.failing > 0;
  const lag = consumer.diverged ? h("span", { class: "tag act" }, "has diverged")
    : consumer.lag_checkpoints === 0
    ? h("span", { class: "tag well" }, "has everything")
    : [h("strong", {}, `${plural(consumer.lag_checkpoints, "checkpoint")} behind`), h("div", { class: "small quiet" }, `${bytes(consumer.lag_bytes)}, ${span(consumer.lag_us)} old`)];
  const delivery = consumer.delivery;
  const state = delivery?.given_up ? h("span", { class: "tag act" }, "given up")
    : delivery?.failing > 0 ? h("span", { class: "tag look" }, `failed ${delivery.failing} times`)
    : delivery?.rejected > 0 ? h("span", { class: "tag look" }, `refused ${plural(delivery.rejected, "record")}`) : null;
  return h("div", { class: late ? "way late" : "way" },
    h("div", {}, h("strong", { class: "one-line" }, consumer.name), " ", state),
    h("progress", { max: Math.max(last - first, 1), value: Math.max(consumer.acknowledged - first, 0), "aria-label": `${consumer.name} is at checkpoint ${consumer.acknowledged} of ${last}` }),
    h("div", { class: "number" }, lag));
};

const drawSegments = async (root) => {
  const space = await ask("space");
  const width = Math.round(root.clientWidth);
  fill(root, [space, width], () => segments(space, width));
};
