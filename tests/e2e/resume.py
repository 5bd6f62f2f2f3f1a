"""Resuming: a real source, killed at random moments together with ingest or alone, resumes from the log.

source-declarative-manifest reads our loopback API through a tee into `highwater ingest`. Ingest, or the source's process
group, or both are ended by SIGKILL; then the source is started again with `--state` from `highwater state get`, until it
is through. That is a round; rounds with fresh logs follow until enough kills have been made. After every
attempt the log must hold exactly what was committed (ledger.py has the rule), and after a round all that the API holds.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter

import api
import cli
import connectors
import ledger
import messages
import processes
from processes import Violation

DAYS = 30
ATTEMPT_SECONDS_MAX = 90
# Each of the three moments of a checkpoint lasts this long at least, so that a kill can meet it.
SLOW = {"write": "10ms", "flush": "10ms", "echo": "10ms"}
# A change of stream between two consecutive records, at least once in so many records: else the
# streams would not really have been interleaved, and the test would have shown little.
RECORDS_PER_CHANGE_MAX = 20


class Plan:
    """When and whom to kill in one attempt, drawn at random from what is left to read."""

    def __init__(self, rng, states_left, seconds_per_state, phases):
        self.victim = rng.choices(["ingest", "both", "source"], [50, 25, 25])[0]
        self.how = rng.choices(["phase", "moment", "opening"], [50, 42, 8])[0]
        if self.how == "opening":
            self.victim = "ingest"
        self.phase = min(SLOW, key=lambda phase: phases[phase])
        if not phases[self.phase]:
            self.victim, self.how = "ingest", "phase"
        elif self.victim == "source" and self.how == "phase":
            self.how = "moment"
        # Anywhere in what is left, and a little beyond: the end has moments of its own.
        states = rng.uniform(0, 1.1) * states_left
        self.after_states = int(states)
        self.after_seconds = states * seconds_per_state
        self.opening_seconds = rng.uniform(0, 0.1)
        # Killed alone, ingest leaves a source behind that goes on for a while.
        self.survivor_seconds = rng.uniform(0, 0.05)

    def due(self, run):
        now = time.monotonic()
        if self.how == "opening":
            return now >= run.started_at + self.opening_seconds
        if self.how == "moment":
            return run.first_record_at is not None and now >= run.first_record_at + self.after_seconds
        return run.echoes.count >= self.after_states and run.phase() == self.phase


class Running:
    """One attempt while it runs: source | tee | ingest."""

    def __init__(self, folder, log, server, content, catalog, state):
        self.folder = folder
        self.phase_file = folder / "phase"
        config = folder / "config.json"
        # A worker per slice, and some that make the slices; api.py says why.
        workers = len(api.STREAMS) * (len(content.days) + 3)
        days = {"start_day": content.start_day, "end_day": content.end_day}
        config.write_text(json.dumps({"url": server.url, "workers": workers} | days))
        manifest = processes.REPO / "tests/e2e/manifest.yaml"
        arguments = ["--config", config, "--catalog", catalog, "--manifest-path", manifest]
        if state is not None:
            (folder / "state.json").write_bytes(state)
            arguments += ["--state", folder / "state.json"]
        slow = ",".join(f"{phase}:{duration}" for phase, duration in SLOW.items())
        debug = {"HIGHWATER_DEBUG_SLOW": slow, "HIGHWATER_DEBUG_PHASE": str(self.phase_file)}
        self.source = connectors.start("declarative", folder / "source.stderr", arguments)
        self.ingest = cli.ingest(log, folder / "ingest.stderr", catalog, env=os.environ | debug)
        self.started_at = time.monotonic()
        self.first_record_at = None
        self.tee = processes.Tee(self.source.stdout, folder / "sent", self.ingest.stdin)
        self.echoes = processes.Echoes(self.ingest.stdout)

    def phase(self):
        try:
            return self.phase_file.read_bytes().decode().strip()
        except FileNotFoundError:
            return ""

    def until(self, plan):
        """Whom the plan killed, or None if the attempt came to its end first."""
        while not (self.source.ended() and self.ingest.ended()):
            if self.ingest.ended() and not self.tee.at_end:
                code = self.ingest.wait(1)
                raise Violation(f"ingest ended by itself, with {code}, before its input did\n{self.ingest.tail()}")
            if time.monotonic() > self.started_at + ATTEMPT_SECONDS_MAX:
                raise Violation(f"attempt not through after {ATTEMPT_SECONDS_MAX} s, see {self.folder}")
            if self.first_record_at is None and self.tee.first_record.is_set():
                self.first_record_at = time.monotonic()
            if plan and plan.due(self) and (victim := self._kill(plan)):
                return victim
            time.sleep(0.0005)
        return None

    def _kill(self, plan):
        victims = {"ingest": [self.ingest], "source": [self.source], "both": [self.source, self.ingest]}[plan.victim]
        victims = [child for child in victims if not child.ended()]
        for child in victims:
            child.kill()
        if victims and plan.victim == "ingest":
            time.sleep(plan.survivor_seconds)
        if victims and plan.victim != "source":
            self.source.kill()
        return plan.victim if victims else None

    def end(self):
        """(exit code of the source, of ingest)."""
        codes = self.source.wait(20), self.ingest.wait(20)
        processes.join(self.tee)
        processes.join(self.echoes)
        return codes


class Test:
    def __init__(self, seed, kills_wanted, folder):
        self.rng = random.Random(seed)
        self.kills_wanted = kills_wanted
        self.seed = seed
        self.folder = folder
        self.victims, self.phases, self.hows, self.torn_tails = Counter(), Counter(), Counter(), 0
        self.rounds = self.attempts = self.records = self.changes = self.checkpoints = self.resent = 0
        self.seconds_per_state = 0.03
        self.catalog = folder / "catalog.json"
        self.catalog.write_text(json.dumps({"streams": [self._configured(name) for name in api.STREAMS]}))

    @staticmethod
    def _configured(name):
        stream = {
            "name": name,
            "json_schema": {"type": "object", "properties": {"id": {"type": "string"}, "day": {"type": "string"}}},
            "supported_sync_modes": ["full_refresh", "incremental"],
            "source_defined_cursor": True,
            "default_cursor_field": ["day"],
            "source_defined_primary_key": [["id"]],
        }
        return connectors.configured(stream, "incremental", "append_dedup")

    @property
    def kills(self):
        return sum(self.victims.values())

    def round(self):
        self.rounds += 1
        content = api.Content(f"{self.seed}/{self.rounds}", DAYS)
        log = self.folder / f"round-{self.rounds}.hw"
        attempts, number, through = [], 0, False
        while not through:
            number += 1
            try:
                attempt, through = self._attempt(log, content, number, attempts[-1] if attempts else None)
                attempts.append(attempt)
                committed = cli.cat(log)
                ledger.check(attempts, committed)
            except Violation as violation:
                raise Violation(f"round {self.rounds}, attempt {number}: {violation}") from None
        self._check_round(log, content, committed)
        self.checkpoints += cli.checkpoints(log)
        sent = sum(isinstance(m, messages.Record) for a in attempts for m in a.messages)
        held = sum(map(len, committed.values()))
        self.resent += held - sum(len(content.by_key(name)) for name in api.STREAMS)
        print(
            f"round {self.rounds}: {len(attempts)} attempts, {sent} records sent, {held} in the log, "
            f"{self.kills} kills so far: ok", flush=True
        )

    def _attempt(self, log, content, number, previous):
        self.attempts += 1
        folder = self.folder / f"round-{self.rounds}-attempt-{number}"
        folder.mkdir()
        states_before = previous.states if previous else {}
        state = cli.state_get(log)[0] if previous else None
        plan = self._plan(self._states_left(content, states_before))
        with api.Server(content) as server:
            running = Running(folder, log, server, content, self.catalog, state)
            victim = running.until(plan)
            source_code, ingest_code = running.end()

        if (source_code, ingest_code) == (0, 0):
            victim = None  # both had ended by themselves in the very moment
        if victim in ("ingest", "both") and ingest_code == -9:
            self.phases[running.phase() or "none yet"] += 1
        elif ingest_code != 0:
            raise Violation(f"ingest: exit code {ingest_code} at the end of its input\n{running.ingest.tail()}")
        elif not running.phase_file.exists():
            raise Violation("ingest did not make the file that HIGHWATER_DEBUG_PHASE names, so no kill can be aimed")
        if victim:
            self.victims[victim] += 1
            self.hows[plan.how] += 1
        elif source_code != 0:
            raise Violation(f"the source failed by itself: exit code {source_code}, see {folder}\n{running.source.tail()}")
        self._learn_pace(running)

        sent, torn = messages.parse_lines((folder / "sent").read_bytes())
        records = [m for m in sent if isinstance(m, messages.Record)]
        self.records += len(records)
        self.changes += sum(a.stream != b.stream for a, b in zip(records, records[1:]))

        before_reading = cli.snapshot(log)
        text, states = cli.state_get(log)
        # Killed while it made the log, ingest leaves none: then nothing may have been echoed, which the ledger checks.
        if text is not None and cli.verify(log, (0, cli.TORN_TAIL)) == cli.TORN_TAIL:
            self.torn_tails += 1
        if cli.snapshot(log) != before_reading:
            raise Violation(f"`verify` or `state get` wrote to {log}")
        attempt = ledger.Attempt(sent, messages.parse(torn), running.echoes.data, ingest_code == 0, states)
        return attempt, victim is None

    def _plan(self, states_left):
        """None lets an attempt come to its end, by its own speed; else no round would."""
        nearly_through = states_left < len(api.STREAMS) * 4
        if self.kills >= self.kills_wanted or (nearly_through and self.rng.random() < 0.5):
            return None
        return Plan(self.rng, states_left, self.seconds_per_state, self.phases)

    def _states_left(self, content, states):
        """About how many STATE messages a source that starts from `states` will send."""
        left = 0
        for name in api.STREAMS:
            text = states.get((None, name))
            day = json.loads(text)["stream"]["stream_state"].get("day") if text else None
            left += sum(day is None or d >= day for d in content.days)
        return left

    def _learn_pace(self, running):
        if running.first_record_at and running.echoes.count >= 5:
            pace = (running.echoes.last_at - running.first_record_at) / running.echoes.count
            self.seconds_per_state += 0.3 * (max(pace, 0.001) - self.seconds_per_state)

    def _check_round(self, log, content, committed):
        cli.verify(log)
        for name in api.STREAMS:
            stream = (None, name)
            # The CDK drops nulls at the top of a record, and nowhere else.
            expected = {
                key: _canonical({k: v for k, v in row.items() if v is not None})
                for key, row in content.by_key(name).items()
            }
            found = {}
            for record in committed.get(stream, []):
                row = json.loads(record.data)
                found[row["id"]] = _canonical(row)
            for key in expected.keys() | found.keys():
                if expected.get(key) != found.get(key):
                    raise Violation(
                        f"round {self.rounds}: stream {name}, key {key}: the API has {expected.get(key)}, the log has "
                        f"{found.get(key)}; since the log holds what was sent and committed, the source went astray"
                    )
        one = next(iter(api.STREAMS))
        if cli.cat(log, one) != {(None, one): committed[None, one]}:
            raise Violation(f"round {self.rounds}: `cat --stream {one}` differs from what `cat` says of that stream")

    def table(self):
        return [
            ("seed", self.seed),
            ("rounds, attempts", f"{self.rounds}, {self.attempts}"),
            ("kills", f"{self.kills} ({_listed(self.victims)})"),
            ("kills were planned by", _listed(self.hows)),
            ("ingest was killed in", _listed(self.phases)),
            ("torn tails seen by verify", self.torn_tails),
            ("records sent", f"{self.records}, {self.changes} changes of stream"),
            ("records in the logs twice, since a source re-sent them", self.resent),
            ("checkpoints", self.checkpoints),
        ]

    def check_coverage(self):
        missing = [phase for phase in SLOW if not self.phases[phase]]
        if missing:
            raise Violation(f"no kill of ingest fell in: {', '.join(missing)}")
        if self.changes * RECORDS_PER_CHANGE_MAX < self.records:
            raise Violation(f"the streams hardly interleaved: {self.changes} changes in {self.records} records")


def _canonical(row):
    """Tells 1 from 1.0, unlike ==."""
    return json.dumps(row, sort_keys=True, ensure_ascii=False)


def _listed(counter):
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"


def main(arguments):
    parser = argparse.ArgumentParser(prog="resume", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="go on until there were so many (default 50)")
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, printed")
    options = parser.parse_args(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"resume: seed {seed}", flush=True)
    connectors.program("declarative")
    with processes.scratch("resume", 120 + 15 * options.kills) as folder:
        test = Test(seed, options.kills, folder)
        try:
            while test.kills < test.kills_wanted:
                test.round()
            test.check_coverage()
        finally:
            processes.table(test.table())


if __name__ == "__main__":
    sys.exit(processes.report("resume", main, sys.argv[1:]))
