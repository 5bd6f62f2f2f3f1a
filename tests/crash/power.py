#!/usr/bin/env python3
"""Cuts power under the crash driver, on a file system of ours that loses any subset of what was not flushed (tests/fuse):

    tests/crash/power.py DRIVER POWERCUT (SECONDS | COUNTx) [DRIVER'S ARGUMENTS]

The driver is killed at a random moment; then power is cut, or it is only killed and goes on with what the cache holds, or
a flush of the next life fails. After each, whatever was acknowledged has to be there.
"""
import collections
import mmap
import os
import random
import subprocess
import sys
import tempfile

from kill import Budget, moment
from rig import DURABLE_MODES, Rig, Violation, demand

BLOCK = 4096
LIVES = 40  # of one log
FAILS_AFTER = [0, 0, 1, 2, 3, 5, 8, 13]  # so many flushes go well: the first are the opening's own


class Disk:
    """The file system, mounted as long as it lives."""

    def __init__(self, powercut, place):
        self.place = place
        self.process = subprocess.Popen(
            [powercut, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.await_mounted()

    def await_mounted(self):
        demand(self.process.stdout.readline() == "mounted\n", "the file system is gone")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.await_mounted()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        subprocess.run(["umount", "-l", self.place], stderr=subprocess.DEVNULL, check=False)


def check_disk(powercut):
    """A flush that failed shows to O_DIRECT and to nothing else; and then the power cut takes what it should have flushed."""
    with tempfile.TemporaryDirectory() as place, Disk(powercut, place) as disk:
        name = os.path.join(place, "file")
        file = os.open(name, os.O_CREAT | os.O_RDWR)
        os.pwrite(file, b"a" * BLOCK, 0)
        os.fsync(file)
        flush_names(place)
        disk.say("fail 0")
        os.pwrite(file, b"b" * BLOCK, 0)
        try:
            os.fsync(file)
            demand(False, "the flush did not fail")
        except OSError:
            pass
        os.fsync(file)
        demand(os.pread(file, 1, 0) == b"b", "the cache does not show what was written")
        demand(read_direct(name) == b"a", "the device shows what was not flushed")
        os.close(file)
        disk.say("cut 1")
        with open(name, "rb") as left:
            demand(left.read() == b"a" * BLOCK, "the power cut left what was not flushed")


def flush_names(directory):
    handle = os.open(directory, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def read_direct(name):
    block = mmap.mmap(-1, BLOCK)  # O_DIRECT wants aligned memory
    file = os.open(name, os.O_RDONLY | os.O_DIRECT)
    os.preadv(file, [block], 0)
    os.close(file)
    return block[:1]


def life(rig, disk, boot, counts):
    """One life of the driver and what ends it; returns the boot of the next."""
    fails = random.random() < 0.2
    if fails:
        disk.say(f"fail {random.choice(FAILS_AFTER)}")
    rig.write_and_kill(moment(), "--boot", str(boot), fail_allowed=fails)
    disk.say("heal")
    if random.random() < 0.3:
        rig.verify(is_settled=False)  # what the cache holds
    if random.random() < 0.7:
        disk.say(f"cut {random.getrandbits(63)}")
        boot += 1
        counts["cuts"] += 1
    counts["lives"] += 1
    counts["failed flushes"] += fails
    rig.verify(is_settled=False)
    return boot


def run(driver, powercut, budget, arguments):
    counts = collections.Counter()
    while not budget.is_spent(counts["lives"]):
        with tempfile.TemporaryDirectory() as place, Disk(powercut, place) as disk:
            rig = Rig(driver, place, arguments, random.getrandbits(63))
            boot = 1
            try:
                for _ in range(LIVES):
                    boot = life(rig, disk, boot, counts)
                    if budget.is_spent(counts["lives"]):
                        break
            except Violation as violation:
                sys.exit(f"VIOLATION in boot {boot}: {violation}\n{rig.keep_evidence()}")
            counts["checkpoints"] += rig.ledger.checkpoints()
    print(f"{' '.join(arguments) or 'plain'}: {dict(counts)}", flush=True)
    return counts


def main():
    driver, powercut, budget, *arguments = sys.argv[1:]
    if not os.access("/dev/fuse", os.W_OK):
        print("SKIPPED: /dev/fuse can't be opened here; no power was cut")
        return
    check_disk(powercut)
    modes = [arguments] if arguments else DURABLE_MODES
    total = sum((run(driver, powercut, Budget(budget, len(modes)), mode) for mode in modes), collections.Counter())
    print(f"{total['cuts']} power cuts in {total['lives']} lives, nothing lost")


if __name__ == "__main__":
    main()
