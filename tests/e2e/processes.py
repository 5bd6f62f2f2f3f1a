"""Child processes that never outlive the test, and a tee between two of them."""

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
COMMAND_SECONDS_MAX = 60
INTERRUPTED = 130  # what a shell says of a command ended by Ctrl-C
# Small pipes, so that source, tee and ingest run in step. With the usual 64 KiB the source would be
# hundreds of records ahead, and a kill of the source would rarely meet an ingest in the middle of its work.
PIPE_BYTES = 8192


class Violation(Exception):
    """A promise that was not kept; the message says which, and where."""


class OutOfTime(Violation):
    """The script as a whole took too long: nothing of it goes on."""


def highwater():
    """The binary under test, with absolute path."""
    path = Path(os.environ.get("HIGHWATER") or REPO / "target/release/highwater").resolve()
    if not os.access(path, os.X_OK):
        raise Violation(f"no executable at {path}: build it, or set HIGHWATER")
    return str(path)


_live = set()


class Child:
    """A process in a group of its own; killing it kills the group."""

    def __init__(self, name, command, stderr, **options):
        self.name = name
        self.stderr = stderr
        with open(stderr, "ab") as sink:
            self._process = subprocess.Popen(
                command, stderr=sink, start_new_session=True, bufsize=0, pipesize=PIPE_BYTES, **options
            )
        _live.add(self)
        self.pid = self._process.pid
        self.stdin = self._process.stdin
        self.stdout = self._process.stdout

    def ended(self):
        """Whether the leader has ended. It is not reaped here: its number stays taken until `wait` is through."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._process.returncode is not None or os.waitid(os.P_PID, self._process.pid, flags) is not None

    def kill(self):
        """SIGKILL to the whole group."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, seconds):
        """The exit code (negative: the signal). Whatever the leader left behind in its group ends with it."""
        deadline, pause = time.monotonic() + seconds, 0.0005
        while not self.ended():
            if time.monotonic() > deadline:
                self.kill()
                self._reap()
                raise Violation(f"{self.name} did not end within {seconds} s\n{self.tail()}")
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        self.kill()
        return self._reap()

    def _reap(self):
        code = self._process.wait()
        _live.discard(self)
        return code

    def tail(self):
        """The end of its standard error, for messages."""
        with open(self.stderr, "rb") as file:
            text = file.read()[-2000:].decode(errors="replace")
        return f"--- the end of its standard error:\n{text}"


def kill_group(group):
    """SIGKILL to a process group that is not ours to wait for; whether there was one."""
    try:
        os.killpg(group, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def end_all():
    for child in list(_live):
        child.kill()
    for child in list(_live):
        with contextlib.suppress(Violation):
            child.wait(10)


atexit.register(end_all)


def run(command, accept=(0,), seconds=COMMAND_SECONDS_MAX, env=None):
    """Runs a command to its end; (exit code, standard output)."""
    with tempfile.TemporaryFile() as out:
        code = run_into(out, command, accept, seconds, env)
        out.seek(0)
        return code, out.read()


def run_into(out, command, accept=(0,), seconds=COMMAND_SECONDS_MAX, env=None):
    with tempfile.NamedTemporaryFile() as err:
        name = " ".join(map(str, command[:2]))
        child = Child(name, command, err.name, stdin=subprocess.DEVNULL, stdout=out, env=env)
        code = child.wait(seconds)
        if code not in accept:
            raise Violation(f"exit code {code}, not one of {accept}: {' '.join(map(str, command))}\n{child.tail()}")
        return code


class Tee(threading.Thread):
    """Stores every byte that the source writes, then hands it on to ingest.

    It stores first: so the file holds at least what ingest can have seen. When ingest is gone it
    goes on storing, since the source does not know yet.
    """

    def __init__(self, source, path, ingest_stdin):
        super().__init__(daemon=True)
        self.first_record = threading.Event()
        self.stored_bytes = 0
        self.at_end = False  # of what the source sends; ingest is told afterwards
        self._source, self._path, self._sink = source, path, ingest_stdin
        self.start()

    def run(self):
        tail = b""
        with open(self._path, "wb", buffering=0) as store:
            while chunk := os.read(self._source.fileno(), 65536):
                store.write(chunk)
                self.stored_bytes += len(chunk)
                if not self.first_record.is_set():
                    if b'"RECORD"' in tail + chunk:
                        self.first_record.set()
                    tail = chunk[-16:]
                self._pass_on(chunk)
        self.at_end = True
        self._close()

    def _pass_on(self, chunk):
        view = memoryview(chunk)
        while view and self._sink:
            try:
                view = view[os.write(self._sink.fileno(), view) :]
            except BrokenPipeError:
                self._close()

    def _close(self):
        if self._sink:
            self._sink.close()
            self._sink = None


class Echoes(threading.Thread):
    """Collects what ingest writes to its standard output."""

    def __init__(self, ingest_stdout):
        super().__init__(daemon=True)
        self.data = b""
        self.last_at = None
        self._stdout = ingest_stdout
        self.start()

    def run(self):
        while chunk := os.read(self._stdout.fileno(), 65536):
            self.data += chunk
            self.last_at = time.monotonic()

    @property
    def count(self):
        return self.data.count(b"\n")


def join(thread, seconds=30):
    thread.join(seconds)
    if thread.is_alive():
        raise Violation(f"{type(thread).__name__} still has an open pipe after {seconds} s: a child left a process behind")


def _stop(number, _frame):
    if number == signal.SIGALRM:
        raise OutOfTime("the whole script ran past its time limit")
    raise KeyboardInterrupt


@contextlib.contextmanager
def scratch(title, seconds):
    """A scratch folder, removed when all went well, kept and named otherwise; and a time limit for all."""
    folder = Path(tempfile.mkdtemp(prefix=f"highwater-e2e-{title}-"))
    signal.alarm(seconds)
    try:
        yield folder
    except BaseException:
        print(f"{title}: scratch data kept in {folder}", flush=True)
        raise
    else:
        shutil.rmtree(folder)
    finally:
        signal.alarm(0)
        end_all()


@contextlib.contextmanager
def locked(path):
    """One at a time, across processes (two runs that install into the same folder)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def report(title, main, arguments):
    """Runs a script's `main` and says how it went; the exit code."""
    started = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _stop)
    try:
        main(arguments)
    except Violation as violation:
        print(f"{title}: FAILED: {violation}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print(f"{title}: interrupted", file=sys.stderr, flush=True)
        return INTERRUPTED
    finally:
        end_all()
    print(f"{title}: ok, in {time.monotonic() - started:.0f} s", flush=True)
    return 0


def table(rows):
    for name, value in rows:
        print(f"  {name:<56}{value}", flush=True)
