"""Each kind of source into each kind of database: `highwater run` and `deliver`, killed at random moments and inside open transactions.

A pair is a source (declarative Airbyte source, faker, Singer tap, files) and a database (SQLite, PostgreSQL). Its pipeline has two
destinations in the database: `log` appends, `state` upserts by key. The run, the source's process group, and a delivery in a process of
its own are ended by SIGKILL; some of the deliveries are first stopped in the middle of a transaction, and seen to be there. When
enough kills have been made all comes to its end. Then `log` must hold exactly what the log holds, record for record in
its order, and `state` exactly what the log's last record of each key says; the keys are those of the source.
"""

import argparse
import random
import signal
import subprocess
import sys
import time

import cli
import connectors
import databases
import origins
import postgres
import processes
import transactions
from processes import Violation
from tally import Tally, play

RUN_SECONDS_MAX = 180
LOCKED, NOT_FOUND = 5, 6

FILE = """
version = 1
name = "{name}"
log = "e2e.hw"

{source}

[checkpoint]
min_interval = "0ms"
every = {{ records = 50 }}

[retry]
attempts_without_progress = 50
backoff = {{ initial = "50ms", factor = 1, max = "50ms" }}

"""
# In a file of its own, so that the source can also be read while no destination is there.
DESTINATIONS = """
[destinations.log]
{log}
mode = "append"
batch = {{ max_checkpoints = 3 }}

[destinations.state]
{state}
mode = "upsert"
batch = {{ max_checkpoints = 3 }}
"""


class Pair:
    """A source and a database, in rounds with a folder each: a source that has sent everything is no target any more."""

    def __init__(self, origin, database, folder, seed, kills_wanted):
        self.origin, self.database, self.folder = origin, database, folder
        self.kills_wanted = kills_wanted
        # At least one, and in a whole run at least five.
        self.inside_wanted = max(1, kills_wanted // 6)
        self.rng = random.Random(f"{seed}/{origin.name}/{database.name}")
        self.tally = Tally(origin.name, database.name, source_is_program=origin.is_program)
        self.idle = self.rounds = 0

    def run(self):
        self.folder.mkdir()
        while self.tally.total < self.kills_wanted or self.tally.inside < self.inside_wanted:
            self._round()

    def _round(self):
        self.rounds += 1
        folder = self.folder / str(self.rounds)
        folder.mkdir()
        self.log = folder / "e2e.hw"
        name = f"{self.origin.name}-{self.rounds}"
        with self.origin.prepare(folder, self.rng) as source, self.database.open(folder, name) as place:
            reading = FILE.format(name=name, source=source.toml())
            self.file, self.reading = folder / "pipeline.toml", folder / "reading.toml"
            self.reading.write_text(reading)
            self.file.write_text(reading + DESTINATIONS.format(log=place.table("log"), state=place.table("state")))
            before = self.tally.total
            self._kill_until(min(before + 8, self.kills_wanted), place)
            self.idle = 0 if self.tally.total > before else self.idle + 1
            if self.idle > 10:
                raise Violation("in ten rounds nobody could be killed")
            run = self._start("run")
            if (code := run.wait(RUN_SECONDS_MAX)) != 0:
                raise Violation(f"the last run ended with {code}\n{run.tail()}")
            self._check(source, place)

    def _kill_until(self, wanted, place):
        # The source is read while nobody delivers: then there is something to deliver, and transactions to meet.
        run = self._start("run", file=self.reading)
        self._await_source(run)
        time.sleep(self.rng.uniform(self.origin.seconds / 2, 2 * self.origin.seconds))
        self._end(run, None)
        misses = 0
        while self.tally.inside < self.inside_wanted and misses < 3:
            misses += not self._kill_inside(self.rng.choice(["log", "state"]), place)
        is_through = False
        while not is_through and self.tally.total < wanted:
            delivery = self._start("deliver", "--only", self.rng.choice(["log", "state"])) if self.log.exists() else None
            run = self._start("run")
            self._await_source(run)
            time.sleep(self.rng.uniform(0, self.origin.seconds))
            self._disturb(run, delivery, place)
            is_through = self._end(run, delivery)

    def _disturb(self, run, delivery, place):
        victim = self.rng.choice(["run", "source", "delivery"])
        if victim == "source" and (group := self._source()):
            # The runtime starts it again by itself.
            if processes.kill_group(group):
                self.tally.killed("source")
            time.sleep(self.rng.uniform(0, self.origin.seconds))
        if victim == "delivery" and delivery and not delivery.ended():
            delivery.kill()
            self.tally.killed("destination")
            time.sleep(self.rng.uniform(0, 0.5))

    def _end(self, run, delivery):
        """Whether the run has come to its end by itself."""
        if not run.ended():
            run.kill()
            self.tally.killed("run")
        code = run.wait(20)
        if code not in (-signal.SIGKILL, 0):
            raise Violation(f"the run ended with {code} by itself\n{run.tail()}")
        if delivery:
            delivery.kill()
            # The run may have been quicker in taking the destination, or killed before it had made the log.
            if (ended := delivery.wait(20)) not in (-signal.SIGKILL, LOCKED, NOT_FOUND):
                raise Violation(f"the delivery ended with {ended} by itself\n{delivery.tail()}")
        return code == 0

    def _kill_inside(self, name, place):
        """Delivers until a transaction is open, stops the process there, and kills it if the transaction is still open."""
        if not self.log.exists():
            return False
        delivery = self._start("deliver", "--only", name)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not delivery.ended():
            if transactions.stop_inside(place.transactions, delivery.pid):
                delivery.kill()
                delivery.wait(20)
                self.tally.killed("destination", is_inside=True)
                return True
        delivery.kill()
        delivery.wait(20)
        return False

    def _start(self, command, *options, file=None):
        line = [processes.highwater(), command, str(file or self.file), *options]
        stderr = self.file.parent / f"{command}.stderr"
        return processes.Child(command, line, stderr, env=connectors.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def _source(self):
        try:
            return int((self.log.parent / "e2e.hw.connect/child.source").read_text().split()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None

    def _await_source(self, run):
        if not self.origin.is_program:
            return
        deadline = time.monotonic() + 30
        while not self._source() and not run.ended() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _check(self, source, place):
        cli.verify(self.log)
        cli.checkpoints(self.log)
        self.tally.attempts += cli.attempts(self.log)
        log = {stream: [record.data for record in records] for stream, records in cli.cat(self.log).items()}
        for stream, key in source.streams():
            records = [databases.row(text) for text in log.get((None, stream), [])]
            latest = {record[key]: record for record in records}
            if set(latest) != source.keys(stream):
                raise Violation(f"stream {stream}: the log has {len(latest)} keys, the source {len(source.keys(stream))}")
            appended = place.rows("log", stream)
            databases.compare(f"stream {stream}, appended", records, appended)
            found = {row[key]: row for row in place.rows("state", stream)}
            if set(found) != set(latest):
                raise Violation(f"stream {stream}, upserted: {len(found)} keys, in the log {len(latest)}")
            keys = sorted(latest)
            databases.compare(f"stream {stream}, upserted", [latest[k] for k in keys], [found[k] for k in keys])
            self.tally.holds(len(records), appended=len(appended), upserted=len(found))


def main(arguments):
    parser = argparse.ArgumentParser(prog="matrix", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=3, help="for each pair, at least (default 3)")
    parser.add_argument("--source", action="append", choices=origins.ORIGINS, help="only this (default: all)")
    parser.add_argument("--database", action="append", choices=databases.DATABASES, help="only this (default: both)")
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, printed")
    options = parser.parse_args(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"matrix: seed {seed}", flush=True)
    sources = options.source or list(origins.ORIGINS)
    kinds = options.database or list(databases.DATABASES)
    with processes.scratch("matrix", 600 + 60 * options.kills * len(sources) * len(kinds)) as folder:
        with postgres.Server(folder / "postgres") as server:
            play([
                Pair(origins.ORIGINS[origin](server), databases.DATABASES[kind](server), folder / f"{origin}-{kind}", seed, options.kills)
                for origin in sources
                for kind in kinds
            ])


if __name__ == "__main__":
    sys.exit(processes.report("matrix", main, sys.argv[1:]))
