"""No state at all: source-file sends records and stream statuses, and never a STATE. What happens is said here.

Only a STATE, or the end of the input after a stream's COMPLETE, commits. So a run that ends well is kept; of a run that
is killed half-way nothing is, unless `--assume-complete` asks for it. There never is a state to resume from.
"""

import argparse
import csv
import json
import os
import re
import sys
import time

import cli
import connectors
import messages
import processes
from processes import Violation

ROWS = 30_000
SECONDS_MAX = 60


class Run:
    """What one run of source-file sent."""

    def __init__(self, path):
        self.bytes = path.read_bytes()
        self.messages, torn = messages.parse_lines(self.bytes)
        self.records = [m for m in self.messages if isinstance(m, messages.Record)]
        self.complete = {m.stream for m in self.messages if isinstance(m, messages.Status) and m.status == "COMPLETE"}
        # Of a source that was killed the last line may lack nothing but its end; ingest may take it or not.
        self.unended = [m for m in [messages.parse(torn)] if isinstance(m, messages.Record)]
        if any(isinstance(m, messages.State) for m in self.messages):
            raise Violation("source-file sent a STATE, so it is no longer the source that this test wants")


class Test:
    def __init__(self, folder):
        self.folder = folder
        self.config, self.catalog = folder / "config.json", folder / "catalog.json"
        self.rows = []

    def prepare(self):
        path = self.folder / "rows.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "name", "amount", "note"])
            for n in range(ROWS):
                writer.writerow([n, f"näme {n}", n / 4, 'a "quoted", word\nand a line' if n % 3 else ""])
        settings = {"dataset_name": "rows", "format": "csv", "url": str(path), "provider": {"storage": "local"}}
        self.config.write_text(json.dumps(settings))
        self.catalog.write_text(json.dumps(connectors.discover("file", self.config, "full_refresh", "append")))

    def live(self, title, kill_after_bytes=None):
        """source-file | tee | ingest; (what was sent, log)."""
        log = self.folder / f"{title}.hw"
        sent = self.folder / f"{title}.sent"
        source = connectors.start("file", self.folder / f"{title}.source", ["--config", self.config, "--catalog", self.catalog])
        ingest = cli.ingest(log, self.folder / f"{title}.stderr", self.catalog)
        tee, echoes = processes.Tee(source.stdout, sent, ingest.stdin), processes.Echoes(ingest.stdout)
        deadline = time.monotonic() + SECONDS_MAX
        while kill_after_bytes is not None and tee.stored_bytes < kill_after_bytes and not source.ended():
            if time.monotonic() > deadline:
                raise Violation(f"nothing moves any more\n{ingest.tail()}")
            time.sleep(0.0005)
        if kill_after_bytes is not None:
            source.kill()
        code = source.wait(SECONDS_MAX)
        if code != (0 if kill_after_bytes is None else -9):
            raise Violation(f"source-file: exit code {code}\n{source.tail()}")
        self._end(ingest, tee, echoes)
        return Run(sent), log

    def replay(self, title, run, log=None, options=()):
        """The same bytes again, into another log, or after what is in one."""
        log = log or self.folder / f"{title}.hw"
        read, write = os.pipe()
        source = open(read, "rb", buffering=0)
        ingest = cli.ingest(log, self.folder / f"{title}.stderr", self.catalog, options)
        tee, echoes = processes.Tee(source, self.folder / f"{title}.sent", ingest.stdin), processes.Echoes(ingest.stdout)
        with open(write, "wb") as file:
            file.write(run.bytes)
        self._end(ingest, tee, echoes)
        source.close()
        return log

    def _end(self, ingest, tee, echoes):
        code = ingest.wait(SECONDS_MAX)
        if code != 0:
            raise Violation(f"ingest: exit code {code} at the end of its input\n{ingest.tail()}")
        processes.join(tee)
        processes.join(echoes)
        if echoes.data:
            raise Violation(f"ingest echoed what no source had sent: {echoes.data[:200]!r}")

    def check(self, title, log, expected, uncommitted, sentence):
        """The log holds one of the `expected` lists of records; one of the counts `uncommitted` is what ingest reports."""
        cli.verify(log)
        found = cli.cat(log).get((None, "rows"), [])
        if found not in expected:
            fit = next((n for n, (a, b) in enumerate(zip(found, expected[0])) if a != b), "none")
            raise Violation(
                f"{title}: the log holds {len(found)} records; expected {len(expected[0])}; the first that differs: {fit}"
            )
        text, _ = cli.state_get(log)
        if text is None or json.loads(text) != []:
            raise Violation(f"{title}: `state get` gives {text!r}, expected []: no source ever sent a state")
        if uncommitted[0]:
            self._check_summary(title, uncommitted)
        self.rows.append((title, f"{len(found)} records in the log, {uncommitted[0]} uncommitted; state get: []"))
        print(f"{title}: {sentence}", flush=True)

    def _check_summary(self, title, allowed):
        text = (self.folder / f"{title}.stderr").read_text()
        said = " ".join(line for line in text.splitlines() if "uncommitted" in line.lower())
        numbers = {int(re.sub(r"[,_ ']", "", number)) for number in re.findall(r"\d(?:[\d,_']*\d)?", said)}
        if not numbers & set(allowed):
            raise Violation(f"{title}: ingest does not say that {allowed[0]} records stayed uncommitted; it says:\n{text[-2000:]}")

    def run(self):
        self.prepare()
        assume = ["--assume-complete"]

        whole, log = self.live("whole")
        if len(whole.records) != ROWS:
            raise Violation(f"source-file sent {len(whole.records)} of {ROWS} rows")
        if (None, "rows") in whole.complete:
            sentence = "the source ended well and said COMPLETE, so the end of the input committed all its records."
            self.check("whole", log, [whole.records], [0], sentence)
        else:
            sentence = "the source ended well but did not say COMPLETE, so none of its records was committed."
            self.check("whole", log, [[]], [ROWS], sentence)

        log = self.replay("whole-assumed", whole, options=assume)
        self.check("whole-assumed", log, [whole.records], [0], "the same with --assume-complete: all are there.")

        half, log = self.live("killed", len(whole.bytes) // 3)
        if half.complete or not half.records:
            raise Violation("the source was to be killed half-way, but was not")
        came = len(half.records)
        sentence = f"the source was killed after {came} records, without STATE or COMPLETE: none is committed, and ingest says so."
        self.check("killed", log, [[]], [came, came + len(half.unended)], sentence)
        self.replay("killed-again", whole, log)
        sentence = "run again into the same log, the source reads all from the start: all are there, once."
        self.check("killed-again", log, [whole.records], [0], sentence)

        log = self.replay("killed-assumed", half, options=assume)
        kept = [half.records, half.records + half.unended]
        sentence = f"the killed run with --assume-complete: the {came} records that came are there."
        self.check("killed-assumed", log, kept, [0], sentence)
        self.replay("killed-assumed-again", whole, log)
        sentence = f"run again into that log: without a state the source starts over, so {came} records are there twice."
        self.check("killed-assumed-again", log, [k + whole.records for k in kept], [0], sentence)


def main(arguments):
    argparse.ArgumentParser(prog="nostate", description=__doc__.splitlines()[0]).parse_args(arguments)
    connectors.program("file")
    with processes.scratch("nostate", 300) as folder:
        test = Test(folder)
        try:
            test.run()
        finally:
            processes.table(test.rows)


if __name__ == "__main__":
    sys.exit(processes.report("nostate", main, sys.argv[1:]))
