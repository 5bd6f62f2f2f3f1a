#!/usr/bin/env python3
"""Kills and power cuts on real file systems: ext4, xfs and btrfs on an image behind a loop device, tmpfs, overlayfs:

    tests/crash/filesystems.py DRIVER SECONDS

A power cut is a snapshot of the image while the driver writes: it holds what the file system has given to its device, and
nothing that waits in a cache above. Copying would take its time and give a disk that never was; so the image lies on an
xfs of its own, where `cp --reflink` is one moment. The driver is killed, the snapshot takes the image's place and is
mounted, which replays the file system's journal, and whatever was acknowledged before has to be there. Where this
machine does not let one mount, it says so.
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import kill
from rig import DURABLE_MODES, Rig, Violation

# How each is made, how small, and how it is mounted.
IMAGES = {
    "ext4": (["mkfs.ext4", "-q", "-F"], 96 << 20),
    "xfs": (["mkfs.xfs", "-q", "-f"], 300 << 20),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], 256 << 20),
}
MODES = [DURABLE_MODES[1], DURABLE_MODES[5]]  # those that prune: an image is small
LIVES = 30  # of one image


class Unavailable(Exception):
    """This machine does not let one mount it."""


def call(*command):
    if not shutil.which(command[0]):
        raise Unavailable(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")


@contextmanager
def mounted(place, *arguments):
    """Mounted as long as the block runs, whatever happens in it; a loop device goes with its mount."""
    place.mkdir(exist_ok=True)
    call("mount", *map(str, arguments), str(place))
    try:
        yield place
    finally:
        if subprocess.run(["umount", str(place)], stderr=subprocess.DEVNULL, check=False).returncode:
            subprocess.run(["umount", "-l", str(place)], check=False)


def make_image(kind, image):
    command, size = IMAGES[kind]
    with open(image, "wb") as file:
        file.truncate(size)
    call(*command, str(image))


def write_and_snapshot(rig, image, snapshot, boot):
    """Lets the driver write, takes a snapshot of the device at a random moment, and kills the driver. What it said from
    the snapshot on counts as tried alone."""
    process = rig.start("--boot", str(boot))
    said = []
    listener = threading.Thread(target=lambda: said.extend(process.stdout))
    listener.start()
    try:
        time.sleep(kill.moment())
        heard = len(said)
        call("cp", "--reflink=always", str(image), str(snapshot))
        time.sleep(random.uniform(0, 0.01))
    finally:
        process.kill()
        listener.join()
        process.wait()
    later = [line for line in said[heard:] if line.startswith("try ")]
    rig.ledger.hear("".join(said[:heard] + later))


def cut_power(driver, kind, seconds, arguments, outer):
    """Lives of one log on one image after another; returns how many."""
    cuts, end = 0, time.monotonic() + seconds
    image, snapshot = outer / "image", outer / "snapshot"
    while time.monotonic() < end:
        make_image(kind, image)
        rig = Rig(driver, outer / "inner" / "log", arguments, random.getrandbits(63))
        with mounted(outer / "inner", "-o", "loop", image):
            (outer / "inner" / "log").mkdir()
            os.sync()
        for boot in range(LIVES):
            with mounted(outer / "inner", "-o", "loop", image):
                write_and_snapshot(rig, image, snapshot, boot)
            snapshot.replace(image)
            with mounted(outer / "inner", "-o", "loop", image):
                try:
                    rig.verify(is_settled=False)
                except Violation as violation:
                    sys.exit(f"VIOLATION on {kind}: {violation}\n{rig.keep_evidence()}")
            cuts += 1
            if time.monotonic() >= end:
                break
    return cuts


def on_image(driver, kind, seconds, outer):
    cuts = sum(cut_power(driver, kind, seconds / 2 / len(MODES), mode, outer) for mode in MODES)
    print(f"{kind}: {cuts} power cuts, nothing lost", flush=True)
    make_image(kind, outer / "image")
    with mounted(outer / "inner", "-o", "loop", outer / "image") as place:
        kill_on(driver, kind, seconds / 2, place)


def kill_on(driver, kind, seconds, place):
    kills = sum(kill.run(driver, kill.Budget(str(seconds), len(MODES)), mode, place) for mode in MODES)
    print(f"{kind}: {kills} kills, nothing lost", flush=True)


def on_tmpfs(driver, seconds, directory):
    with mounted(directory / "tmpfs", "-t", "tmpfs", "-o", "size=256m", "tmpfs") as place:
        kill_on(driver, "tmpfs", seconds / 2, place)


def on_overlayfs(driver, seconds, directory):
    with mounted(directory / "layers", "-t", "tmpfs", "-o", "size=256m", "tmpfs") as layers:
        lower, upper, work = (layers / name for name in ("lower", "upper", "work"))
        for layer in (lower, upper, work):
            layer.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        with mounted(directory / "overlay", "-t", "overlay", "-o", options, "overlay") as place:
            kill_on(driver, "overlayfs", seconds / 2, place)


def on_images(driver, seconds, directory):
    """All images lie on one xfs, for its snapshots."""
    outer_image = directory / "outer"
    with open(outer_image, "wb") as file:
        file.truncate(2 << 30)
    call("mkfs.xfs", "-q", "-f", str(outer_image))
    with mounted(directory / "outer.mounted", "-o", "loop", outer_image) as outer:
        for kind in IMAGES:
            attempt(kind, on_image, driver, kind, seconds, outer)


def attempt(kind, function, *arguments):
    try:
        function(*arguments)
    except Unavailable as why:
        print(f"{kind}: SKIPPED: {why}", flush=True)


def main():
    driver, seconds = sys.argv[1], float(sys.argv[2]) / 4
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        attempt("tmpfs", on_tmpfs, driver, seconds, directory)
        attempt("overlayfs", on_overlayfs, driver, seconds, directory)
        attempt("ext4, xfs and btrfs", on_images, driver, seconds, directory)


if __name__ == "__main__":
    main()
