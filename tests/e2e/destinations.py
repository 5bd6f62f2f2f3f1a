"""Programs as destinations: `highwater run` from files into real Airbyte destinations and Singer targets, killed at random moments.

Each kind gets a folder with a pipeline of its own: a file source with some checkpoints, and the destination. The run, or the
destination's process group, is ended by SIGKILL and the run started again, until enough kills have been made; then all comes
to its end. A destination that upserts by key must hold exactly what the source has. One that appends must hold all of it,
and may hold a row again: it stores no position that could be asked for.
"""

import argparse
import collections
import csv
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time

import cli
import connectors
import postgres
import processes
from processes import Violation

TEXTS = ["plain", "ü", 'quote " end', "a, b"]
FILES, ROWS_PER_FILE, CHECKPOINT_RECORDS = 6, 400, 100
RUN_SECONDS_MAX = 240

FILE = """
version = 1
name = "destinations"
log = "e2e.hw"

[source]
type = "files"
path = "in"
format = "csv"
stream = "items"
primary_key = ["id"]

[checkpoint]
min_interval = "0ms"
every = {{ records = {records} }}

[retry]
attempts_without_progress = 20
backoff = {{ initial = "50ms", factor = 1, max = "50ms" }}

[destinations.to]
batch = {{ max_checkpoints = 4 }}
stop_timeout = "20s"
{table}
[destinations.to.config]
{config}
"""


class Kind:
    """A destination. `held` gives the pairs (id, text) that it holds."""

    mode, is_exact = "append", False

    def __init__(self, folder, server):
        self.folder, self.server = folder, server

    def table(self):
        command = [json.dumps(str(part)) for part in self.command()]
        environment = _toml(self.environment())
        return f'type = "{self.type}"\nmode = "{self.mode}"\ncommand = [{", ".join(command)}]\nenvironment = {environment}'

    def environment(self):
        return {}

    def text(self):
        config = "\n".join(f"{key} = {_toml(value)}" for key, value in self.config().items())
        return FILE.format(records=CHECKPOINT_RECORDS, table=self.table(), config=config)


class Cdk(Kind):
    """Ours, on the Airbyte CDK."""

    type = "airbyte"

    def command(self):
        return [connectors.venv("declarative") / "bin/python", "-B", processes.REPO / "tests/e2e/cdk_destination.py"]

    def config(self):
        return {"path": str(self.folder / "held.db")}

    def held(self):
        with sqlite3.connect(self.folder / "held.db") as base:
            rows = [json.loads(data) for (data,) in base.execute("SELECT data FROM held")]
        return [(row["id"], row["text"]) for row in rows]


class Pgvector(Kind):
    """The registry's destination for vectors, which are made up."""

    type = "airbyte"

    def __init__(self, folder, server):
        super().__init__(folder, server)
        server.query("CREATE EXTENSION IF NOT EXISTS vector")

    def environment(self):
        return {"TIKTOKEN_CACHE_DIR": connectors.tokenizer()}

    def command(self):
        return [connectors.program("pgvector")]

    def config(self):
        login = {"host": "127.0.0.1", "port": self.server.port, "database": "postgres", "default_schema": "vectors"}
        return {
            "embedding": {"mode": "fake"},
            "processing": {"text_fields": ["text"], "metadata_fields": ["id"], "chunk_size": 500, "chunk_overlap": 0},
            "indexing": login | {"username": self.server.USER, "credentials": {"password": "unused"}},
            "omit_raw_text": False,
        }

    def held(self):
        rows = self.server.query("SELECT metadata->>'id', replace(document_content, E'\\n', ' ') FROM vectors.items")
        return [(key, content.removeprefix("text: ")) for key, content in rows]


class TargetJsonl(Kind):
    type = "singer"

    def command(self):
        return [connectors.program("target-jsonl")]

    def config(self):
        (self.folder / "out").mkdir(exist_ok=True)
        return {"destination_path": str(self.folder / "out"), "do_timestamp_file": False}

    def held(self):
        lines = [line for file in (self.folder / "out").glob("*.jsonl") for line in file.read_text().splitlines()]
        rows = [json.loads(line) for line in lines if line]
        return [(row["id"], row["text"]) for row in rows]


class TargetPostgres(Kind):
    type, mode, is_exact = "singer", "upsert", True

    def command(self):
        return [connectors.program("target-postgres")]

    def config(self):
        return {"sqlalchemy_url": self.server.url.replace("postgresql:", "postgresql+psycopg:"), "default_target_schema": "singer"}

    def held(self):
        return [tuple(row) for row in self.server.query("SELECT id, text FROM singer.items")]


KINDS = {"cdk": Cdk, "pgvector": Pgvector, "target-jsonl": TargetJsonl, "target-postgres": TargetPostgres}


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


class Test:
    """One kind of destination."""

    def __init__(self, name, folder, server, seed, kills_wanted):
        self.name, self.folder, self.kills_wanted = name, folder, kills_wanted
        self.rng = random.Random(f"{seed}/{name}")
        self.kills = collections.Counter()
        self.starts = 0
        folder.mkdir()
        self.kind = KINDS[name](folder, server)
        self.file = folder / "pipeline.toml"
        self.file.write_text(self.kind.text())
        self.rows = self._write_source()

    def _write_source(self):
        rows = {}
        (self.folder / "in").mkdir()
        for number in range(FILES):
            with open(self.folder / f"in/{number:03}.csv", "w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["id", "text"])
                for row in range(ROWS_PER_FILE):
                    key = f"{number:03}-{row:05}"
                    rows[key] = f"row {key} {self.rng.choice(TEXTS)}"
                    writer.writerow([key, rows[key]])
        return rows

    def run(self):
        while sum(self.kills.values()) < self.kills_wanted:
            run = self._start()
            self._disturb(run)
            code = run.wait(20)
            if code == 0:
                break
            if code != -signal.SIGKILL:
                raise Violation(f"{self.name}: the run ended with {code} by itself\n{run.tail()}")
        run = self._start()
        if (code := run.wait(RUN_SECONDS_MAX)) != 0:
            raise Violation(f"{self.name}: the last run ended with {code}\n{run.tail()}")
        self._check()

    def _start(self):
        self.starts += 1
        line = [processes.highwater(), "run", str(self.file)]
        return processes.Child(
            "run", line, self.folder / "run.stderr", env=connectors.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def _disturb(self, run):
        """Kills the destination once or not at all, then the run, unless that has come to its end."""
        self._await(run, self._group)
        # Mostly while it is at work: a Python program takes a second or two to begin.
        time.sleep(self.rng.uniform(0, 4))
        if self.rng.random() < 0.5 and (group := self._group()):
            if processes.kill_group(group):
                self.kills["destination"] += 1
            self._await(run, lambda: self._group() not in (None, group))
            time.sleep(self.rng.uniform(0, 3))
        if not run.ended():
            run.kill()
            self.kills["run"] += 1

    def _await(self, run, what):
        deadline = time.monotonic() + 30
        while not what() and not run.ended() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _group(self):
        """The process number of the destination's group, if one is running."""
        try:
            return int((self.folder / "e2e.hw.connect/child.to").read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None

    def _check(self):
        cli.verify(self.folder / "e2e.hw")
        self.held = self.kind.held()
        found = dict(self.held)
        if found != self.rows:
            differ = [key for key in found.keys() | self.rows.keys() if found.get(key) != self.rows.get(key)]
            key = min(differ)
            raise Violation(f"{self.name}: {len(differ)} keys differ, like {key}: {found.get(key)!r}, and not {self.rows.get(key)!r}")
        self.repeated = len(self.held) - len(self.rows)
        if self.repeated and self.kind.is_exact:
            raise Violation(f"{self.name}: {self.repeated} rows are there again, although it upserts by key")

    def line(self):
        kills = ", ".join(f"{who} {count}" for who, count in sorted(self.kills.items())) or "none"
        return f"{self.starts} starts; kills: {kills}; {len(self.rows)} rows in the source, {len(self.held)} held, {self.repeated} of them again"


def main(arguments):
    parser = argparse.ArgumentParser(prog="destinations", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=3, help="for each kind, at least unless it has come to its end before (default 3)")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this (default: all)")
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, printed")
    options = parser.parse_args(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"destinations: seed {seed}", flush=True)
    kinds = options.kind or list(KINDS)
    with processes.scratch("destinations", 300 + 60 * options.kills * len(kinds)) as folder:
        with postgres.Server(folder / "postgres") as server:
            lines = []
            for name in kinds:
                test = Test(name, folder / name, server, seed, options.kills)
                test.run()
                lines.append((name, test.line()))
                print(f"{name}: ok", flush=True)
        processes.table(lines)


if __name__ == "__main__":
    sys.exit(processes.report("destinations", main, sys.argv[1:]))
