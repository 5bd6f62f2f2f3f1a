"""Whole pipelines: `highwater run` with a real source, killed at random moments, into JSON lines and SQLite.

source-declarative-manifest reads our loopback API; one destination is delivered by the run itself, the other by
`highwater deliver` in a process of its own. The run, the source's process group or the delivery are ended by SIGKILL, and
started again, until enough kills have been made; then all comes to its end. The log must hold all that the API holds, and each
destination exactly what the log holds: every record once, in its order, to the byte where the destination keeps bytes.
"""

import argparse
import collections
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time

import api
import cli
import connectors
import messages
import processes
from processes import Violation

DAYS = 30
RUN_SECONDS_MAX = 120
LOCKED, NOT_FOUND = 5, 6

FILE = """
version = 1
name = "e2e"
log = "e2e.hw"

[source]
type = "airbyte"
command = [{program}]
arguments = ["--manifest-path", {manifest}]
silence_timeout = "60s"
[source.config]
url = {url}
start_day = {start_day}
end_day = {end_day}
workers = {workers}

[checkpoint]
min_interval = "{min_interval}"

[retry]
attempts_without_progress = 20
backoff = {{ initial = "50ms", factor = 1, max = "50ms" }}

[destinations.lake]
type = "jsonl"
path = "lake"

[destinations.base]
type = "sqlite"
path = "base.db"
mode = "append"
batch = {{ max_checkpoints = 3 }}
"""


class Pipeline:
    """A folder with a pipeline file, and the processes that work on it."""

    def __init__(self, folder, content, url, min_interval):
        self.folder, self.content = folder, content
        self.file = folder / "pipeline.toml"
        text = {
            "program": connectors.program("declarative"),
            "manifest": str(processes.REPO / "tests/e2e/manifest.yaml"),
            "url": url,
            "start_day": content.start_day,
            "end_day": content.end_day,
        }
        self.file.write_text(
            FILE.format(
                **{key: json.dumps(value) for key, value in text.items()},
                workers=len(api.STREAMS) * (len(content.days) + 3),
                min_interval=min_interval,
            )
        )
        self.log = folder / "e2e.hw"

    def start(self, command, *options):
        line = [processes.highwater(), command, str(self.file), *options]
        stderr = self.folder / f"{command}.stderr"
        environment = connectors.environment()
        return processes.Child(command, line, stderr, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def source(self):
        """The process number of the source's group, if one is running."""
        try:
            return int((self.folder / "e2e.hw.connect/child.source").read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None


class Test:
    def __init__(self, seed, kills_wanted, folder):
        self.rng = random.Random(seed)
        self.seed, self.kills_wanted, self.folder = seed, kills_wanted, folder
        self.kills = collections.Counter()
        self.rounds = self.starts = self.records = self.resent = self.checkpoints = 0

    def round(self, kills):
        self.rounds += 1
        content = api.Content(f"{self.seed}/{self.rounds}", DAYS)
        folder = self.folder / f"round-{self.rounds}"
        folder.mkdir()
        # Each state by itself, or states merged: their records must be the same.
        min_interval = self.rng.choice(["0ms", "0ms", "100ms"])
        wanted = sum(self.kills.values()) + kills
        with api.Server(content) as server:
            pipeline = Pipeline(folder, content, server.url, min_interval)
            delivery = None
            while sum(self.kills.values()) < wanted:
                if not delivery and pipeline.log.exists():
                    # First, or the run would take the destination for its own.
                    delivery = self._start(pipeline, "deliver", "--only", "base")
                    time.sleep(self.rng.uniform(0, 0.3))
                run = self._start(pipeline, "run")
                delivery, is_through = self._disturb(pipeline, run, delivery)
                if is_through:
                    break
            if delivery:
                delivery.kill()
                delivery.wait(20)
            run = self._start(pipeline, "run")
            if (code := run.wait(RUN_SECONDS_MAX)) != 0:
                raise Violation(f"round {self.rounds}: the last run ended with {code}\n{run.tail()}")
        self._check(pipeline)
        print(f"round {self.rounds}: {sum(self.kills.values())} kills so far, states every {min_interval}: ok", flush=True)

    def _start(self, pipeline, command, *options):
        self.starts += 1
        return pipeline.start(command, *options)

    def _disturb(self, pipeline, run, delivery):
        """Lets a run work for a while, then kills somebody. The run is dead afterwards, the delivery perhaps: then it is None.
        Whether the run had come to its end by itself."""
        victim = self.rng.choices(["run", "source", "delivery"], [50, 25, 25])[0]
        self._await_source(pipeline, run)
        # The source takes a second or two to begin, and some seconds to end.
        time.sleep(self.rng.uniform(0, 4))
        if victim == "source" and (group := pipeline.source()):
            # The runtime starts it again by itself.
            if processes.kill_group(group):
                self.kills[victim] += 1
            time.sleep(self.rng.uniform(0, 3))
        if victim == "delivery" and delivery and not delivery.ended():
            delivery.kill()
            self.kills[victim] += 1
            time.sleep(self.rng.uniform(0, 0.5))
        if delivery and delivery.ended():
            code = delivery.wait(20)
            # The run may have been quicker in taking the destination, or killed before it had made the log.
            if code not in (-signal.SIGKILL, LOCKED, NOT_FOUND):
                raise Violation(f"the delivery ended with {code} by itself\n{delivery.tail()}")
            delivery = None
        if not run.ended():
            run.kill()
            self.kills["run"] += 1
        code = run.wait(20)
        if code not in (-signal.SIGKILL, 0):
            raise Violation(f"the run ended with {code} by itself\n{run.tail()}")
        return delivery, code == 0

    def _await_source(self, pipeline, run):
        deadline = time.monotonic() + 30
        while not pipeline.source() and not run.ended() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _check(self, pipeline):
        cli.verify(pipeline.log)
        self.checkpoints += cli.checkpoints(pipeline.log)
        log = {stream: [record.data for record in records] for stream, records in cli.cat(pipeline.log).items()}
        lake, base = self._lake(pipeline), self._base(pipeline)
        for name in api.STREAMS:
            held = log.get((None, name), [])
            self.records += len(held)
            self._check_source(pipeline, name, held)
            _compare(f"round {self.rounds}: stream {name}: the JSON lines", held, lake.get(name, []))
            rows = [_canonical(json.loads(text)) for text in held]
            _compare(f"round {self.rounds}: stream {name}: SQLite", rows, base[name])

    def _check_source(self, pipeline, name, held):
        """The CDK drops nulls at the top of a record, and nowhere else."""
        rows = pipeline.content.by_key(name)
        expected = {key: _canonical({k: v for k, v in row.items() if v is not None}) for key, row in rows.items()}
        found = {json.loads(text)["id"]: _canonical(json.loads(text)) for text in held}
        self.resent += len(held) - len(found)
        if expected != found:
            keys = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
            raise Violation(f"round {self.rounds}: stream {name}: API and log differ in {len(keys)} keys, like {keys[0]}")

    def _lake(self, pipeline):
        """{stream: texts of the records}, in the order of the files."""
        found = collections.defaultdict(list)
        for file in sorted((pipeline.folder / "lake").glob("*.jsonl")):
            for line in file.read_bytes().split(b"\n")[:-1]:
                text = line.decode()
                start, end = messages.members(text)["data"]
                found[json.loads(text)["stream"]].append(text[start:end])
        return found

    def _base(self, pipeline):
        """{stream: rows}: the columns that the schema declares, and the rest together."""
        found = {}
        with sqlite3.connect(pipeline.folder / "base.db") as base:
            for name in api.STREAMS:
                query = f'SELECT id, day, _highwater_extra FROM "{name}" ORDER BY _highwater_checkpoint, _highwater_row'
                rows = base.execute(query).fetchall()
                found[name] = [_canonical({"id": id_, "day": day} | json.loads(extra or "{}")) for id_, day, extra in rows]
        return found

    def table(self):
        return [
            ("seed", self.seed),
            ("rounds, starts of a process", f"{self.rounds}, {self.starts}"),
            ("kills", ", ".join(f"{who} {count}" for who, count in sorted(self.kills.items())) or "none"),
            ("checkpoints", self.checkpoints),
            ("records in the logs, in JSON lines, in SQLite", self.records),
            ("of them re-sent by the source", self.resent),
        ]


def _canonical(row):
    return json.dumps(row, sort_keys=True, ensure_ascii=False)


def _compare(what, expected, found):
    if expected == found:
        return
    for n, (one, other) in enumerate(zip(expected, found)):
        if one != other:
            raise Violation(f"{what}: record {n} is {other}, in the log {one}")
    raise Violation(f"{what}: {len(found)} records, in the log {len(expected)}")


def main(arguments):
    parser = argparse.ArgumentParser(prog="pipeline", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=12, help="at least (default 12)")
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, printed")
    options = parser.parse_args(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"pipeline: seed {seed}", flush=True)
    connectors.program("declarative")
    with processes.scratch("pipeline", 240 + 30 * options.kills) as folder:
        test = Test(seed, options.kills, folder)
        try:
            while sum(test.kills.values()) < options.kills:
                test.round(min(8, options.kills - sum(test.kills.values())))
        finally:
            processes.table(test.table())


if __name__ == "__main__":
    sys.exit(processes.report("pipeline", main, sys.argv[1:]))
