"""What must be in the log, given what the source sent and what `state get` said. Pure: no files, no processes.

The rule, per attempt: `state get` afterwards names the STATE line up to which the attempt is in the log (its *cut*), and
the log then holds, stream by stream, exactly the records that were sent before the cut, after those of
the attempts before. A cut is never before the last STATE line that was echoed. Sources repeat equal
states, so several cuts may fit what `state get` said; the log has to agree with one of them, in every stream.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

from messages import Record, State, Status, stream_name
from processes import Violation


@dataclass
class Attempt:
    messages: list  # what the source sent, parsed, in order
    unended: object  # a message whose line had no end yet when the source was killed; mostly None
    echoed: bytes  # what ingest wrote to standard output
    input_ended: bool  # ingest saw the end of its input, and exited with 0
    states: dict  # what `state get` said afterwards: {stream: text}


def check_echo(attempt):
    """Ingest echoed the first so many STATE lines, in order, byte for byte; how many."""
    lines = [m.line for m in attempt.messages if isinstance(m, State)]
    whole = attempt.echoed.count(b"\n")
    sent = b"".join(lines)
    if not sent.startswith(attempt.echoed):
        at = next(i for i, (a, b) in enumerate(zip(attempt.echoed + b"\0", sent + b"\1")) if a != b)
        raise Violation(
            f"ingest's standard output is not the STATE lines it was sent: they differ from byte {at} on: "
            f"sent {sent[at:at + 120]!r}, echoed {attempt.echoed[at:at + 120]!r}"
        )
    if attempt.input_ended and attempt.echoed != sent:
        raise Violation(f"ingest exited with 0 but echoed {whole} of {len(lines)} STATE lines")
    return whole


def cuts(attempt, before):
    """The numbers of STATE lines after which the states were what `state get` said."""
    states = [m for m in attempt.messages if isinstance(m, State)]
    first = check_echo(attempt)
    at, found = dict(before), []
    for count in range(len(states) + 1):
        if count:
            at[states[count - 1].stream] = states[count - 1].text
        if count >= first and at == attempt.states:
            found.append(count)
        if count == first:
            echoed = dict(at)
    if not found:
        raise Violation(
            f"`state get` after {first} echoed STATE lines is neither the state at the last of them nor at any later one:"
            f"\n  at the last echoed: {sorted(echoed.values())}\n  state get:          {sorted(attempt.states.values())}"
        )
    return found


def contents(attempt, before):
    """What the attempt may have added to the log: a list of {stream: records}."""
    states = sum(isinstance(m, State) for m in attempt.messages)
    complete = {m.stream for m in attempt.messages if isinstance(m, Status) and m.status == "COMPLETE"}
    found = []
    for cut in cuts(attempt, before):
        committed, rest, seen = defaultdict(list), defaultdict(list), 0
        for message in attempt.messages:
            if isinstance(message, State):
                seen += 1
                if seen <= cut:
                    # A state commits its own stream's records; those of other streams stay uncommitted.
                    committed[message.stream] += rest.pop(message.stream, [])
            elif isinstance(message, Record):
                rest[message.stream].append(message)
        # At the end of its input ingest commits what is left of the streams that are COMPLETE. Killed
        # after that, or before: both may be.
        leftovers = {stream: rest[stream] for stream in complete if rest.get(stream)} if cut == states else {}
        if not (leftovers and attempt.input_ended):
            found.append(dict(committed))
        if leftovers:
            found.append({s: committed[s] + leftovers.get(s, []) for s in committed.keys() | leftovers.keys()})
    return found


def _contents_either_way(attempt, before):
    """Without the last line's end a message may be whole nevertheless: then ingest may take it, or leave it."""
    if attempt.unended is None:
        return contents(attempt, before)
    taken = replace(attempt, messages=[*attempt.messages, attempt.unended])
    try:
        found = contents(taken, before)
    except Violation:
        return contents(attempt, before)
    try:
        return found + contents(attempt, before)
    except Violation:
        return found


def check(attempts, log):
    """`log` ({stream: records}) is what these attempts must have left in it."""
    sent = (message for attempt in attempts for message in (*attempt.messages, attempt.unended))
    # A stream may have a state and no record as yet.
    streams = sorted(log.keys() | {m.stream for m in sent if isinstance(m, (Record, State))}, key=str)
    log = {stream: log.get(stream, []) for stream in streams}
    possible = [dict.fromkeys(streams, 0)]
    before = {}
    for number, attempt in enumerate(attempts, 1):
        nexts, mismatches = [], []
        for content in _contents_either_way(attempt, before):
            for offsets in possible:
                mismatch = _first_mismatch(log, offsets, content)
                if mismatch:
                    mismatches.append(mismatch)
                else:
                    moved = {s: offsets[s] + len(content.get(s, [])) for s in streams}
                    if moved not in nexts:
                        nexts.append(moved)
        if not nexts:
            raise Violation(f"what attempt {number} of {len(attempts)} sent: {_explain(max(mismatches)[1:], log)}")
        possible, before = nexts, attempt.states
    lengths = {stream: len(log[stream]) for stream in streams}
    if lengths not in possible:
        best = max(possible, key=lambda offsets: sum(offsets.values()))
        stream = next(s for s in streams if lengths[s] != best[s])
        raise Violation(
            f"stream {stream_name(stream)}: the log holds {lengths[stream]} records, "
            f"{lengths[stream] - best[stream]} more than were committed; the first too many: {_short(log[stream][best[stream]])}"
        )


def _first_mismatch(log, offsets, content):
    """(records of the attempt that fit, stream, index in the log, expected), or None."""
    fit = 0
    for stream, records in content.items():
        start = offsets[stream]
        if log[stream][start : start + len(records)] == records:
            fit += len(records)
            continue
        for n, record in enumerate(records):
            if start + n >= len(log[stream]) or log[stream][start + n] != record:
                return fit + n, stream, start + n, record
    return None


def _explain(mismatch, log):
    stream, index, expected = mismatch
    records = log[stream]
    where = [n for n, record in enumerate(records) if record == expected]
    elsewhere = f"it is there as record {where}" if where else "it is nowhere in the log"
    if index >= len(records):
        return f"stream {stream_name(stream)} ends after {index} records; missing ({elsewhere}): {_short(expected)}"
    times = records.count(records[index])
    return (
        f"stream {stream_name(stream)}, record {index}:\n  expected ({elsewhere}): {_short(expected)}"
        f"\n  found (in the log {times} times): {_short(records[index])}"
    )


def _short(record):
    return f"emitted_at {record.emitted_at}, meta {record.meta[:80]}, data {record.data[:200]}"
