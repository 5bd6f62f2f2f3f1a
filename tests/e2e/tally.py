"""What became of a source and a destination under kills: a row of the table in crates/highwater-connect/README.md."""

import collections
import sys
import time

from processes import OutOfTime, Violation

HEAD = [
    "source", "destination", "kills of the run", "of the source", "of the destination", "of these in a transaction",
    "attempts", "records in the log", "rows appended", "rows upserted", "seconds", "verdict",
]
NOT_RUN, OK, FAILED = "not run", "ok", "FAILED"


class Tally:
    def __init__(self, source, destination, source_is_program, has_transactions=True):
        self.source, self.destination = source, destination
        self.source_is_program, self.has_transactions = source_is_program, has_transactions
        self.kills = collections.Counter()
        self.inside = self.attempts = self.records = self.seconds = 0
        self.appended = self.again = self.upserted = None
        self.verdict = NOT_RUN

    @property
    def total(self):
        return sum(self.kills.values())

    def killed(self, who, is_inside=False):
        self.kills[who] += 1
        self.inside += is_inside

    def holds(self, records, appended=None, again=0, upserted=None):
        """What a round found at its end."""
        self.records += records
        if appended is not None:
            self.appended, self.again = (self.appended or 0) + appended, (self.again or 0) + again
        if upserted is not None:
            self.upserted = (self.upserted or 0) + upserted

    def row(self):
        none = "-"
        appended = none if self.appended is None else f"{self.appended:,}"
        return [
            self.source, self.destination, self.kills["run"],
            self.kills["source"] if self.source_is_program else none,
            self.kills["destination"], self.inside if self.has_transactions else none,
            self.attempts, f"{self.records:,}",
            f"{appended} ({self.again:,} again)" if self.again else appended,
            none if self.upserted is None else f"{self.upserted:,}",
            round(self.seconds), self.verdict,
        ]


def play(pairs):
    """One pair after the other; one that fails does not take the others' turn. Then the table, whatever happened."""
    try:
        for pair in pairs:
            _play(pair)
    finally:
        show(pair.tally for pair in pairs)
    if failed := [pair.tally for pair in pairs if pair.tally.verdict != OK]:
        raise Violation("; ".join(f"{tally.source} into {tally.destination} failed" for tally in failed))


def _play(pair):
    tally, begun = pair.tally, time.monotonic()
    name = f"{tally.source} into {tally.destination}"
    try:
        pair.run()
        tally.verdict = OK
    except Violation as violation:
        tally.verdict = FAILED
        print(f"{name}: FAILED: {violation}", file=sys.stderr, flush=True)
        if isinstance(violation, OutOfTime):
            raise
    finally:
        tally.seconds = time.monotonic() - begun
    print(f"{name}: {tally.verdict}, {tally.total} kills in {tally.seconds:.0f} s", flush=True)


def show(tallies):
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for tally in tallies:
        print("| " + " | ".join(map(str, tally.row())) + " |", flush=True)
