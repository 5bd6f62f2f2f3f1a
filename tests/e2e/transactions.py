"""Whether a process is in the middle of a transaction of its database: seen from outside, without asking the process."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

# The byte of SQLite's -shm file that a process locks while it writes, and that of a database without a WAL.
WAL_WRITE_LOCK, RESERVED_LOCK = 120, 0x40000001
# What a server's process says of itself: who its client is, and what it is at.
SESSION = re.compile(r"127\.0\.0\.1\((\d+)\) (.*)")
WRITING = ("COPY", "INSERT", "DELETE", "UPDATE")


class OfSqlite:
    """It holds the lock of a writer: from the first change of a transaction to its commit."""

    def is_likely(self, pids):
        with open("/proc/locks", encoding="utf-8") as locks:
            return any(_is_writers(line.split(), pids) for line in locks)

    is_certain = is_likely


def _is_writers(lock, pids):
    if lock[1] != "POSIX" or lock[3] != "WRITE" or int(lock[4]) not in pids:
        return False
    start, end = int(lock[6]), int(lock[7]) if lock[7] != "EOF" else None
    # With a WAL, who recovers it has other bytes as well; without, who commits has.
    return start == end == WAL_WRITE_LOCK or start <= RESERVED_LOCK <= (end or RESERVED_LOCK)


class OfPostgres:
    """A server's process is in the middle of a transaction for one of the client's connections."""

    def __init__(self, server):
        self.server = server

    def is_likely(self, pids):
        """Quickly, from the titles of the server's processes."""
        ports = _local_ports(pids)
        sessions = map(SESSION.search, _titles(self.server.pid))
        return any(session and int(session[1]) in ports and _is_open(session[2].rstrip()) for session in sessions)

    def is_certain(self, pids):
        """The transaction has changed something: it has got its number."""
        ports = ", ".join(map(str, _local_ports(pids) or [-1]))
        return bool(self.server.query(
            f"SELECT pid FROM pg_stat_activity WHERE client_port IN ({ports}) AND backend_xid IS NOT NULL"
        ))


def _is_open(state):
    return state == "idle in transaction" or state in WRITING


def _titles(server):
    for pid in children(server):
        with contextlib.suppress(OSError):
            yield Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").rstrip("\0")


def _local_ports(pids):
    sockets = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for handle in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    sockets.add(os.readlink(handle.path))
    with open("/proc/net/tcp", encoding="utf-8") as table:
        rows = [line.split() for line in table][1:]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in sockets}


def children(pid):
    """The process's own children."""
    found = []
    with contextlib.suppress(OSError):
        for thread in os.scandir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += map(int, Path(thread.path, "children").read_text(encoding="utf-8").split())
    return found


def family(pid):
    """The process and all below it."""
    return [pid] + [one for child in children(pid) for one in family(child)]


def stop_inside(probe, leader):
    """Stops the process group if it is in the middle of a transaction; whether it was, and stands there now. One that only seemed to be
    goes on."""
    pids = family(leader)
    if not probe.is_likely(pids):
        return False
    _signal(leader, signal.SIGSTOP)
    # What it had asked for before may still end; the transaction does so only if that was its commit.
    time.sleep(0.02)
    if probe.is_certain(pids):
        return True
    _signal(leader, signal.SIGCONT)
    return False


def _signal(group, number):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
