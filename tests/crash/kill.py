#!/usr/bin/env python3
"""Kills the crash driver at random moments, verifies what is left, and goes on:

    tests/crash/kill.py DRIVER (SECONDS | COUNTx) [--in DIRECTORY] [DRIVER'S ARGUMENTS]

`60` runs a minute, `1000x` a thousand kills per mode. Without arguments it goes through all of the driver's modes.
"""
import random
import sys
import tempfile
import time
from pathlib import Path

from rig import KILL_MODES, Rig, Violation

# So often the log is backed up and restored after a kill, and both are killed on the way.
MOVES = 0.1
# Then a new log: verifying a long one takes its time. A log that is pruned may grow older.
CHECKPOINTS_MAX, CHECKPOINTS_PRUNED_MAX = 400, 4000


def moment():
    """A while for the driver to live: often it is killed while it opens or resumes."""
    return random.uniform(0, random.choice([0.008, 0.06, 0.2]))


class Budget:
    def __init__(self, text, parts):
        self.kills = int(text[:-1]) if text.endswith("x") else None
        self.end = None if self.kills else time.monotonic() + float(text) / parts

    def is_spent(self, kills):
        return kills >= self.kills if self.kills else time.monotonic() >= self.end


def run(driver, budget, arguments, place):
    kills, moves, checkpoints, phases = 0, 0, 0, {}
    longest = CHECKPOINTS_PRUNED_MAX if "--consumer" in arguments else CHECKPOINTS_MAX
    while not budget.is_spent(kills):
        with tempfile.TemporaryDirectory(dir=place) as directory:
            rig = Rig(driver, Path(directory) / "log", arguments, random.getrandbits(63))
            try:
                while not budget.is_spent(kills) and rig.ledger.checkpoints() < longest:
                    rig.write_and_kill(moment())
                    rig.verify()
                    kills += 1
                    # A restore makes a checkpoint of its own, which only streams that count for themselves have room for.
                    # On a slow disk no driver may have lived to make the log yet, and of nothing there is no backup.
                    may_move = "--threads" in arguments and rig.ledger.checkpoints() > 0
                    if may_move and random.random() < MOVES:
                        rig.move(moment)
                        kills, moves = kills + 3, moves + 1
            except Violation as violation:
                sys.exit(f"VIOLATION after {kills} kills: {violation}\n{rig.keep_evidence()}")
            checkpoints += rig.ledger.checkpoints()
            for phase, count in rig.ledger.phases.items():
                phases[phase] = phases.get(phase, 0) + count
    told = ", ".join(f"{count} {phase}" for phase, count in sorted(phases.items()))
    mode = " ".join(arguments) or "plain"
    print(f"{mode}: {kills} kills ({told}), {moves} moves, {checkpoints} checkpoints", flush=True)
    return kills


def main():
    driver, budget, *arguments = sys.argv[1:]
    place = None
    if arguments[:1] == ["--in"]:
        _, place, *arguments = arguments
    modes = [arguments] if arguments else KILL_MODES
    kills = sum(run(driver, Budget(budget, len(modes)), mode, place) for mode in modes)
    print(f"{kills} kills, nothing lost")


if __name__ == "__main__":
    main()
