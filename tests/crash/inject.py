#!/usr/bin/env python3
"""Breaks the driver's system calls, one at a time, with strace: the n-th write, flush, allocation, rename or read fails, or
the process is killed as it enters it. After each, whatever was acknowledged has to be there:

    tests/crash/inject.py DRIVER (SECONDS | COUNTx) [DRIVER'S ARGUMENTS]

A call that fails may be answered by `fail`, never by a signal, a panic, or a wrong `ack`. Reads are broken while
verifying, too: then `corrupt` is allowed, and another answer than the right one is not.
"""
import collections
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from kill import Budget
from rig import DURABLE_MODES, Rig, Violation, demand

ERRORS = {
    "pwrite64": ["EIO", "ENOSPC", "EINTR"],
    "pwritev": ["EIO", "ENOSPC", "EINTR"],
    "fdatasync": ["EIO", "ENOSPC"],
    "fsync": ["EIO"],
    "fallocate": ["ENOSPC", "EIO", "EOPNOTSUPP"],
    "rename": ["EIO", "ENOSPC"],
    "unlink": ["EIO", "EROFS"],
    "openat": ["EIO", "EMFILE", "ENOSPC"],
    "pread64": ["EIO", "EINTR"],
    "getdents64": ["EIO"],
    "statx": ["EIO"],
    "flock": ["EINTR", "ENOLCK"],
    "ftruncate": ["EIO"],
    "mkdir": ["ENOSPC"],
}
READS = ["pread64", "openat", "getdents64", "statx", "flock"]
CHECKPOINTS = 12  # of one life, per stream
LIVES = 25  # of one log
NOT_STARTED = 127  # the loader met the fault, not the driver


def fault(calls):
    """What to break, how, and at which call: of most there are many."""
    call = random.choice(calls)
    if random.random() < 0.4:
        what = "signal=KILL"
    else:
        what = f"error={random.choice(ERRORS[call])}"
    often = call in ("pwrite64", "pwritev", "fdatasync", "pread64", "openat")
    when = random.randint(1, random.choice([10, 40, 200] if often else [2, 10, 40]))
    lasting = "+" if what.startswith("error") and "EINTR" not in what and random.random() < 0.3 else ""
    return call, what, f"{when}{lasting}"


def strace(call, what, when):
    command = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={call}"]
    return [*command, "-e", f"inject={call}:{what}:when={when}"]


def write(rig, injected):
    process = rig.start("--count", str(CHECKPOINTS), before=strace(*injected))
    out, err = process.communicate(timeout=120)
    if process.returncode == NOT_STARTED and not out:
        return "not started"
    demand(process.returncode in (0, 3, -9), f"it ended with {process.returncode}: {out[-200:]} {err[-500:]}")
    rig.ledger.hear(out, fail_allowed=True)
    return {0: "survived", 3: "failed", -9: "killed"}[process.returncode]


def verify_broken(rig, injected):
    """A verification that can't read may say so; it must not take a read error for the end of the log."""
    done = subprocess.run([*strace(*injected), *rig.command("verify")], capture_output=True, text=True, timeout=120)
    if done.returncode == 0:
        rig.ledger.check(done.stdout)
        return "verify survived"
    if done.returncode == NOT_STARTED and not done.stdout:
        return "not started"
    demand(done.returncode in (2, -9), f"verify ended with {done.returncode}: {done.stdout} {done.stderr[-500:]}")
    return {2: "verify refused", -9: "verify killed"}[done.returncode]


def run(driver, budget, arguments):
    outcomes = collections.Counter()
    while not budget.is_spent(outcomes.total()):
        with tempfile.TemporaryDirectory() as directory:
            rig = Rig(driver, Path(directory) / "log", arguments, random.getrandbits(63))
            injected = None
            try:
                for _ in range(LIVES):
                    injected = fault(list(ERRORS))
                    outcomes[write(rig, injected)] += 1
                    rig.verify()
                    injected = fault(READS)
                    outcomes[verify_broken(rig, injected)] += 1
                    if budget.is_spent(outcomes.total()):
                        break
            except Violation as violation:
                sys.exit(f"VIOLATION with {injected}: {violation}\n{rig.keep_evidence()}")
    print(f"{' '.join(arguments) or 'plain'}: {dict(sorted(outcomes.items()))}", flush=True)
    return outcomes.total()


def main():
    driver, budget, *arguments = sys.argv[1:]
    if not shutil.which("strace"):
        print("SKIPPED: strace is not installed (apt-get install strace); no system call was broken")
        return
    modes = [arguments] if arguments else DURABLE_MODES
    faults = sum(run(driver, Budget(budget, len(modes)), mode) for mode in modes)
    print(f"{faults} faults, nothing lost")


if __name__ == "__main__":
    main()
