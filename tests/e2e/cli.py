"""The commands of the program under test, as these tests use them."""

import json
import subprocess
import tempfile
from collections import defaultdict

import messages
import processes
from processes import Violation

NOT_FOUND = 6
TORN_TAIL = 4


def ingest(log, stderr, catalog=None, options=(), env=None):
    command = [processes.highwater(), "ingest", str(log), "--format", "airbyte", *options]
    if catalog:
        command += ["--catalog", str(catalog)]
    return processes.Child("ingest", command, stderr, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)


def state_get(log):
    """(the text as a source takes it, {stream: exact text}); (None, {}) when there is no log yet."""
    code, out = processes.run([processes.highwater(), "state", "get", str(log), "--format", "airbyte"], (0, NOT_FOUND))
    if code == NOT_FOUND:
        return None, {}
    elements = messages.raw_elements(out.decode())
    states = {messages.state_stream(text): text for text in elements}
    if len(states) != len(elements):
        raise Violation(f"`state get` names a stream twice: {out.decode()}")
    return out, states


def cat(log, stream=None):
    """{stream: records}, in the order in which they came out; {} when there is no log yet."""
    command = [processes.highwater(), "cat", str(log), "--format", "airbyte"]
    if stream:
        command += ["--stream", stream]
    found = defaultdict(list)
    with tempfile.TemporaryFile() as out:
        processes.run_into(out, command, (0, NOT_FOUND))
        out.seek(0)
        for number, line in enumerate(out, 1):
            record = messages.parse(line)
            if not isinstance(record, messages.Record) or not line.endswith(b"\n"):
                raise Violation(f"`cat` wrote, in line {number}, what is no whole RECORD: {line[:200]!r}")
            found[record.stream].append(record)
    return dict(found)


def verify(log, accept=(0,)):
    code, out = processes.run([processes.highwater(), "verify", str(log), "--json"], accept)
    json.loads(out)
    return code


def checkpoints(log):
    """How many there are; their sequence numbers are 1, 2, 3, ..."""
    _, out = processes.run([processes.highwater(), "checkpoints", str(log), "--json"])
    sequences = [checkpoint["sequence"] for checkpoint in json.loads(out)["checkpoints"]]
    if sequences != list(range(1, len(sequences) + 1)):
        raise Violation(f"the checkpoints of {log} are not numbered 1, 2, 3, ...: {sequences[:20]} ...")
    return len(sequences)


def attempts(log):
    """How many attempts to read its source are on record."""
    _, out = processes.run([processes.highwater(), "runs", str(log), "--last", "1000000", "--json"])
    return len(json.loads(out)["attempts"])


def snapshot(log):
    """What a reader must leave as it is."""
    if not log.exists():
        return None
    return sorted((str(p.relative_to(log)), s.st_size, s.st_mtime_ns) for p in log.rglob("*") for s in [p.stat()])
