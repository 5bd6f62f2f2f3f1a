"""Volume: what source-faker sends goes into the log, with kills in between, and comes out by `highwater cat` the same.

Faker can't resume (with a state from the middle it sends nothing, or starts at row 1 again), so it runs once, live, through
a tee into ingest, which is killed on the way; the tee records the run to its end. After each kill the
recording is fed to a new ingest without what the log holds already: of each stream, the records that `cat` shows, and
the STATE lines up to the one that `state get` shows. That is what a source that can resume would send.
After every feed the log is checked by the rule in ledger.py, and at the end against the whole recording.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter

import cli
import connectors
import ledger
import messages
import processes
from processes import Violation

BYTES_PER_USER = 900  # a user and a purchase
FEED_SECONDS_MAX = 300
COUNT_MIN = 5000
CHUNK_BYTES = 1 << 16


class Recording:
    """The messages of one run, in order, each with its place in the file."""

    def __init__(self, path):
        self.path = path
        self.lines = []  # (offset, message or None)
        offset = 0
        with open(path, "rb") as file:
            for line in file:
                self.lines.append((offset, messages.parse(line)))
                offset += len(line)
        self.size = offset

    def messages(self):
        return [message for _, message in self.lines if message is not None]

    def by_stream(self):
        streams = {}
        for message in self.messages():
            if isinstance(message, messages.Record):
                streams.setdefault(message.stream, []).append(message)
        return streams

    def rest(self, held, states):
        """The lines that are left, when of each stream so many records are held, and these are the states."""
        last_held = {}
        seen = Counter()
        for index, (_, message) in enumerate(self.lines):
            if isinstance(message, messages.Record):
                seen[message.stream] += 1
            elif isinstance(message, messages.State):
                if message.text == states.get(message.stream) and seen[message.stream] <= held[message.stream]:
                    last_held[message.stream] = index
        left, seen = [], Counter()
        for index, (_, message) in enumerate(self.lines):
            if isinstance(message, messages.Record):
                seen[message.stream] += 1
                if seen[message.stream] <= held[message.stream]:
                    continue
            elif isinstance(message, messages.State) and index <= last_held.get(message.stream, -1):
                continue
            left.append(index)
        return left

    def bytes_of(self, indexes):
        """In chunks."""
        with open(self.path, "rb") as file:
            chunk = bytearray()
            for index in indexes:
                file.seek(self.lines[index][0])
                chunk += file.readline()
                if len(chunk) >= CHUNK_BYTES:
                    yield bytes(chunk)
                    chunk.clear()
            yield bytes(chunk)


class Test:
    def __init__(self, seed, count, kills, folder):
        self.rng = random.Random(seed)
        self.count, self.kills_wanted, self.folder = count, kills, folder
        self.log = folder / "volume.hw"
        self.attempts, self.kills = [], 0
        self.catalog = folder / "catalog.json"
        self.rows = [("seed", seed)]

    def run(self):
        recording = self._live()
        everything = recording.by_stream()
        names = ", ".join(f"{messages.stream_name(s)} {len(r)}" for s, r in everything.items())
        self.rows.append(("sent by faker", f"{sum(map(len, everything.values()))} records ({names}), {recording.size >> 20} MiB"))
        self._checked(recording.messages(), killed=True)
        while self.kills < self.kills_wanted:
            self._feed(recording, kill=True)
        self._feed(recording, kill=False)
        if self.held != everything:
            raise Violation("the log holds what was committed, but that is not what faker sent")
        cli.verify(self.log)
        self.rows += [("kills of ingest", self.kills), ("checkpoints", cli.checkpoints(self.log))]

    def _live(self):
        """Faker into ingest, which is killed within the first third; faker goes on to its end."""
        config = self.folder / "config.json"
        settings = {"count": self.count, "seed": 1, "records_per_slice": 1000, "parallelism": 2, "always_updated": True}
        config.write_text(json.dumps(settings))
        self.catalog.write_text(json.dumps(connectors.discover("faker", config, "incremental", "append_dedup")))
        sent = self.folder / "sent"
        started = time.monotonic()
        source = connectors.start("faker", self.folder / "faker.stderr", ["--config", config, "--catalog", self.catalog])
        self._start_ingest()
        tee = processes.Tee(source.stdout, sent, self.ingest.stdin)
        kill_at = self.rng.uniform(0.02, 0.3) * self.count * BYTES_PER_USER
        while tee.stored_bytes < kill_at and not source.ended():
            if self.ingest.ended() or time.monotonic() > started + FEED_SECONDS_MAX:
                raise Violation(f"ingest ended by itself, or hangs\n{self.ingest.tail()}")
            time.sleep(0.001)
        self._kill_ingest()
        code = source.wait(60 + self.count / 500)
        if code != 0:
            raise Violation(f"faker: exit code {code}\n{source.tail()}")
        processes.join(tee)
        self.rows.append(("faker ran for", f"{time.monotonic() - started:.0f} s"))
        return Recording(sent)

    def _feed(self, recording, kill):
        indexes = recording.rest(Counter({s: len(r) for s, r in self.held.items()}), self.attempts[-1].states)
        if kill and not any(isinstance(recording.lines[index][1], messages.Record) for index in indexes):
            raise Violation(f"everything is in the log after {self.kills} kills: nothing left to kill in; raise --count")
        fed = [recording.lines[index][1] for index in indexes if recording.lines[index][1] is not None]
        bytes_left = sum(len(m.data) for m in fed if isinstance(m, messages.Record))
        kill_at = self.rng.uniform(0.05, 0.5) * bytes_left if kill else float("inf")
        started, written = time.monotonic(), 0
        self._start_ingest()
        for chunk in recording.bytes_of(indexes):
            written += self._write(chunk[: max(0, int(min(len(chunk), kill_at - written)))], started)
            if written >= kill_at:
                break
        if kill:
            self._kill_ingest()
        else:
            self.ingest.stdin.close()
            code = self.ingest.wait(FEED_SECONDS_MAX)
            if code != 0:
                raise Violation(f"ingest: exit code {code} at the end of its input\n{self.ingest.tail()}")
            self.rows.append(("the last feed", f"{written >> 20} MiB in {time.monotonic() - started:.1f} s"))
        processes.join(self.echoes)
        self._checked(fed, kill)

    def _write(self, chunk, started):
        view = memoryview(chunk)
        os.set_blocking(self.ingest.stdin.fileno(), False)
        while view:
            try:
                view = view[os.write(self.ingest.stdin.fileno(), view) :]
            except BlockingIOError:
                if time.monotonic() > started + FEED_SECONDS_MAX:
                    raise Violation(f"ingest takes no input any more\n{self.ingest.tail()}") from None
                time.sleep(0.0002)
            except BrokenPipeError:
                raise Violation(f"ingest ended by itself: exit code {self.ingest.wait(5)}\n{self.ingest.tail()}") from None
        return len(chunk)

    def _start_ingest(self):
        self.ingest = cli.ingest(self.log, self.folder / "ingest.stderr", self.catalog)
        self.echoes = processes.Echoes(self.ingest.stdout)

    def _kill_ingest(self):
        time.sleep(self.rng.uniform(0, 0.02))
        self.ingest.kill()
        code = self.ingest.wait(20)
        if code != -9:
            raise Violation(f"ingest ended by itself before it could be killed: exit code {code}\n{self.ingest.tail()}")
        self.kills += 1

    def _checked(self, fed, killed):
        """The rule holds after this feed too; `self.held` is what the log holds now."""
        processes.join(self.echoes)
        cli.verify(self.log, (0, cli.TORN_TAIL) if killed else (0,))
        states = cli.state_get(self.log)[1]
        self.attempts.append(ledger.Attempt(fed, None, self.echoes.data, not killed, states))
        self.held = cli.cat(self.log)
        ledger.check(self.attempts, self.held)
        print(f"feed {len(self.attempts)}: {sum(map(len, self.held.values()))} records in the log: ok", flush=True)


def main(arguments):
    parser = argparse.ArgumentParser(prog="volume", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="of users, and of purchases (default 100000 each)")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, printed")
    options = parser.parse_args(arguments)
    if options.count < COUNT_MIN:
        parser.error(f"--count is at least {COUNT_MIN}, so that each kill falls into records")
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"volume: seed {seed}", flush=True)
    connectors.program("faker")
    with processes.scratch("volume", 300 + options.count // 100) as folder:
        test = Test(seed, options.count, options.kills, folder)
        try:
            test.run()
        finally:
            processes.table(test.rows)


if __name__ == "__main__":
    sys.exit(processes.report("volume", main, sys.argv[1:]))
