"""What every crash rig does: run the driver, remember what it tried and what it acknowledged, and hold what is left
against that.
"""
import collections
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

EMPTY = "0" * 16
EVIDENCE = Path(__file__).resolve().parents[2] / "target" / "crash-evidence"

# The driver's modes. `kept` checkpoints survive a kill and not a power cut: the last two are for rigs that kill.
DURABLE_MODES = [
    [],
    ["--consumer"],
    ["--threads", "4"],
    ["--threads", "4", "--consumer"],
    ["--consumer", "--segment-bytes", "65536"],
    ["--threads", "3", "--consumer", "--segment-bytes", "65536"],
    ["--segment-bytes", "1048576"],
]
KILL_MODES = DURABLE_MODES + [["--buffered"], ["--buffered", "--threads", "4", "--consumer"]]


class Violation(Exception):
    """A promise was broken."""


def demand(holds, text):
    if not holds:
        raise Violation(text)


class Ledger:
    """What the driver said of one log, by stream; the single writer's stream is ''."""

    def __init__(self, threads):
        streams = [f"s{number}" for number in range(threads)] if threads else [""]
        self.tried = {stream: {0: EMPTY} for stream in streams}
        self.acknowledged = dict.fromkeys(streams, 0)
        self.recovered = dict.fromkeys(streams, (0, EMPTY))
        self.phases = collections.Counter()
        self.failures = collections.Counter()

    def checkpoints(self):
        return sum(sequence for sequence, _ in self.recovered.values())

    def hear(self, out, kept_counts=True, fail_allowed=False):
        """Takes in what `write` printed before it was stopped."""
        phase = "opening"
        for line in complete_lines(out):
            word, *rest = line.split(" ")
            if word == "fail":
                demand(fail_allowed, f"the driver said: {line}")
                self.failures[kind_of(line)] += 1
                phase = "failed"
                continue
            if word == "done":
                phase = "done"
                continue
            demand(word in ("resume", "try", "ack", "kept"), f"the driver said: {line}")
            stream, sequence, content = entry(rest)
            phase = {"resume": "resuming", "try": "committing", "ack": "between commits", "kept": "between commits"}[word]
            if word == "try":
                self.tried[stream][sequence] = content
                continue
            self.demand_tried(stream, sequence, content, word)
            if word == "resume":
                demand(
                    (sequence, content) == self.recovered[stream],
                    f"verify recovered {stream} {self.recovered[stream]}, the writer resumes at {sequence} {content}",
                )
                self.acknowledged[stream] = sequence
            elif word == "ack" or kept_counts:
                self.acknowledged[stream] = sequence
        self.phases[phase] += 1

    def check(self, out, is_settled=True):
        """Takes in what `verify` printed: everything acknowledged is there, and nothing but what was tried.

        A kill can't take back what is there now. Where power may be cut next, it is not settled: only what a writer
        resumes at is.
        """
        found = {}
        for line in complete_lines(out):
            word, *rest = line.split(" ")
            demand(word == "recovered", f"verify said: {line}")
            stream, sequence, content = entry(rest)
            self.demand_tried(stream, sequence, content, word)
            acknowledged = self.acknowledged[stream]
            demand(sequence >= acknowledged, f"{stream} {acknowledged} was acknowledged, {sequence} is there")
            found[stream] = (sequence, content)
        demand(found.keys() == self.tried.keys(), f"verify told of {sorted(found)}")
        self.recovered = found
        if is_settled:
            self.acknowledged = {stream: sequence for stream, (sequence, _) in found.items()}

    def demand_tried(self, stream, sequence, content, word):
        tried = self.tried[stream].get(sequence)
        demand(tried == content, f"{word} {stream} {sequence} {content}: what was tried is {tried}")


def entry(words):
    demand(len(words) in (2, 3), f"the driver said {words}")
    *stream, sequence, content = words
    return (stream or [""])[0], int(sequence), content


def complete_lines(out):
    """A killed driver ends in the middle of nothing: each line is one write."""
    demand(not out or out.endswith("\n"), f"half a line: {out[-80:]!r}")
    return out.splitlines()


def kind_of(line):
    """The words of an error without its figures."""
    return line[5:].split(",")[0][:60]


class Rig:
    """One log in a directory, and the driver that writes it."""

    def __init__(self, driver, directory, arguments, seed):
        self.driver, self.directory, self.arguments, self.seed = driver, directory, arguments, seed
        threads = int(arguments[arguments.index("--threads") + 1]) if "--threads" in arguments else 0
        self.ledger = Ledger(threads)

    def command(self, mode, *more):
        arguments = [word for word in self.arguments if mode == "write" or word != "--buffered"]
        command = [self.driver, mode, "--dir", str(self.directory), "--seed", str(self.seed)]
        return [*command, *arguments, *more]

    def start(self, *more, before=()):
        return subprocess.Popen(
            [*before, *self.command("write", *more)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def write_and_kill(self, seconds, *more, **options):
        """Lets the driver write so long, and kills it."""
        process = self.start(*more)
        try:
            out, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        self.ledger.hear(out, **options)

    def verify(self, directory=None, is_settled=True):
        """Verifies what is there, and that verifying changed nothing."""
        at = directory or self.directory
        command = self.command("verify")
        command[command.index("--dir") + 1] = str(at)
        before = picture(at)
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        demand(done.returncode == 0, f"verify: {done.stdout.strip()} {done.stderr.strip()} ({done.returncode})")
        demand(picture(at) == before, "verify has written")
        self.ledger.check(done.stdout, is_settled)

    def back_up_and_kill(self, seconds):
        """Lets the driver write so long beside backups of its log, and kills both."""
        writer = self.start()
        backup = subprocess.Popen(self.copying("backup", self.directory, self.copy), stdout=subprocess.DEVNULL)
        try:
            out, _ = writer.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            writer.kill()
            out, _ = writer.communicate()
        backup.kill()
        backup.wait()
        self.ledger.hear(out)

    def move(self, moment):
        """Backs the log up, beside a writer and killed at some moment, then to the end; and goes on with what is restored."""
        self.back_up_and_kill(moment())
        self.verify()
        self.complete("backup", self.directory, self.copy, moment())
        self.verify(self.copy)
        shutil.rmtree(self.directory)
        self.complete("restore", self.copy, self.directory, moment())
        self.verify()

    @property
    def copy(self):
        return self.directory.with_name("copy")

    def copying(self, mode, source, target):
        config = [word for word in self.arguments if word not in ("--buffered", "--consumer")]
        return [self.driver, mode, "--dir", str(source), "--to", str(target), "--seed", str(self.seed), *config]

    def complete(self, mode, source, target, seconds):
        """Kills it at some moment, and runs it again."""
        command = self.copying(mode, source, target)
        try:
            subprocess.run(command, stdout=subprocess.DEVNULL, timeout=seconds)
        except subprocess.TimeoutExpired:
            pass  # it is killed
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        # It may have come to its end before it was killed.
        ended = done.stdout.startswith("done") or mode == "restore" and "there is a log already" in done.stdout
        demand(ended, f"{mode}: {done.stdout.strip()} {done.stderr.strip()}")

    def keep_evidence(self):
        """A log that broke a promise is worth more than the space it takes."""
        EVIDENCE.mkdir(parents=True, exist_ok=True)
        kept = tempfile.mkdtemp(dir=EVIDENCE)
        shutil.copytree(self.directory, kept, dirs_exist_ok=True)
        return f"seed {self.seed}, {' '.join(self.arguments) or 'plain'}; the log is in {kept}"


def picture(directory):
    """Every file as the file system tells it: a write to any of them shows."""
    if not os.path.isdir(directory):
        return None
    stats = ((entry.name, entry.stat()) for entry in os.scandir(directory))
    return sorted((name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats)
