"""Programs as destinations: `highwater run` from files into real Airbyte destinations and Singer targets, killed at random moments.

Each round of a kind gets a folder with a pipeline of its own: a file source with some checkpoints, and the destination. The run, or
the destination's process group, is ended by SIGKILL and the run started again; a destination with transactions is sometimes stopped
in the middle of one, seen to be there, and then killed. After some kills all comes to its end. A destination that upserts by key must
hold exactly what the source has. One that appends must hold all of it, and may hold a row again: it stores no position that could be
asked for.
"""

import argparse
import csv
import random
import signal
import subprocess
import sys
import time

import cli
import connectors
import postgres
import processes
import transactions
from kinds import KINDS
from processes import Violation
from tally import Tally, play

TEXTS = ["plain", "ü", 'quote " end', "a, b"]
FILES, ROWS_PER_FILE = 6, 400
RUN_SECONDS_MAX = 240
ROUND_KILLS = 8
INSIDE_SECONDS_MAX = 60


class Test:
    """One kind of destination."""

    def __init__(self, name, folder, server, seed, kills_wanted):
        self.name, self.folder, self.server, self.kills_wanted = name, folder, server, kills_wanted
        # At least one, and in a whole run at least five.
        self.inside_wanted = max(1, kills_wanted // 6) if KINDS[name].has_transactions else 0
        self.rng = random.Random(f"{seed}/{name}")
        self.tally = Tally("files", name, source_is_program=False, has_transactions=KINDS[name].has_transactions)
        self.rounds = self.idle = 0

    def run(self):
        self.folder.mkdir()
        while self.tally.total < self.kills_wanted or self.tally.inside < self.inside_wanted:
            before = self.tally.total
            Round(self).play(max(1, min(ROUND_KILLS, self.kills_wanted - before)))
            self.idle = 0 if self.tally.total > before else self.idle + 1
            if self.idle > 10:
                raise Violation("in ten rounds nobody could be killed")


class Round:
    """From an empty log until everything is delivered."""

    def __init__(self, test):
        test.rounds += 1
        self.test, self.tally, self.rng = test, test.tally, test.rng
        self.folder = test.folder / str(test.rounds)
        self.folder.mkdir()
        self.kind = KINDS[test.name](self.folder, test.server, f"round_{test.rounds}_{test.name.replace('-', '_')}")
        self.file = self.folder / "pipeline.toml"
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

    def play(self, kills):
        wanted = self.tally.total + kills
        while self.tally.total < wanted:
            run = self._start()
            self._disturb(run)
            code = run.wait(20)
            if code == 0:
                break
            if code != -signal.SIGKILL:
                raise Violation(f"the run ended with {code} by itself\n{run.tail()}")
        run = self._start()
        if (code := run.wait(RUN_SECONDS_MAX)) != 0:
            raise Violation(f"the last run ended with {code}\n{run.tail()}")
        self._check()

    def _start(self):
        line = [processes.highwater(), "run", str(self.file)]
        return processes.Child(
            "run", line, self.folder / "run.stderr", env=connectors.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def _disturb(self, run):
        """Kills the destination once or not at all, then the run, unless that has come to its end."""
        self._await(run, self._group)
        victim = self.rng.choice(["run", "destination", "inside" if self.tally.inside < self.test.inside_wanted else "run"])
        if victim == "inside":
            self._kill_inside(run)
        else:
            # Mostly while it is at work: a Python program takes some time to begin.
            time.sleep(self.rng.uniform(0, self.kind.seconds))
        if victim == "destination" and (group := self._group()) and processes.kill_group(group):
            self.tally.killed("destination")
            self._await(run, lambda: self._group() not in (None, group))
            time.sleep(self.rng.uniform(0, self.kind.seconds))
        if not run.ended():
            run.kill()
            self.tally.killed("run")

    def _kill_inside(self, run):
        """Waits for a transaction, stops the destination there, and kills it."""
        deadline = time.monotonic() + INSIDE_SECONDS_MAX
        while time.monotonic() < deadline and not run.ended():
            group = self._group()
            if group and transactions.stop_inside(self.kind.transactions, group):
                if processes.kill_group(group):
                    self.tally.killed("destination", is_inside=True)
                # The runtime starts it again by itself.
                time.sleep(self.rng.uniform(0, 3))
                return
            time.sleep(0.001)

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
        log = self.folder / "e2e.hw"
        cli.verify(log)
        records = len(cli.cat(log, "items").get((None, "items"), []))
        held = self.kind.held()
        found = dict(held)
        if found != self.rows:
            differ = [key for key in found.keys() | self.rows.keys() if found.get(key) != self.rows.get(key)]
            key = min(differ)
            raise Violation(f"{len(differ)} keys differ, like {key}: {found.get(key)!r}, and not {self.rows.get(key)!r}")
        again = len(held) - len(self.rows)
        if again and self.kind.is_exact:
            raise Violation(f"{again} rows are there again, although it upserts by key")
        self.tally.attempts += cli.attempts(log)
        if self.kind.is_exact:
            self.tally.holds(records, upserted=len(held))
        else:
            self.tally.holds(records, appended=len(held), again=again)


def main(arguments):
    parser = argparse.ArgumentParser(prog="destinations", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=3, help="for each kind, at least (default 3)")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this (default: all)")
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, printed")
    options = parser.parse_args(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"destinations: seed {seed}", flush=True)
    kinds = options.kind or list(KINDS)
    with processes.scratch("destinations", 300 + 60 * options.kills * len(kinds)) as folder:
        with postgres.Server(folder / "postgres") as server:
            server.slow_inserts("%_pgvector")
            play([Test(name, folder / name, server, seed, options.kills) for name in kinds])


if __name__ == "__main__":
    sys.exit(processes.report("destinations", main, sys.argv[1:]))
