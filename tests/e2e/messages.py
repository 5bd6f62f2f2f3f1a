"""Airbyte messages, with the *exact text* of the parts that must come out of the log unchanged.

`json.loads` alone would hide what this test is after: it takes 1.0 for 1, and forgets the order of keys and how a
character was escaped. So values are cut out of the line by their offsets.
"""

import json
import re
from dataclasses import dataclass

_decode = json.JSONDecoder().raw_decode
_skip_space = re.compile(r"[ \t\r\n]*").match


def _at(text, index, wanted):
    """The index after `wanted`, which must be the next character but for white space."""
    index = _skip_space(text, index).end()
    if not text.startswith(wanted, index):
        raise ValueError(f"expected {wanted!r} at character {index}")
    return index + 1


def _next_is(text, index, wanted):
    return text.startswith(wanted, _skip_space(text, index).end())


def raw_members(text):
    """{key: raw text of its value} of a JSON object."""
    found = {}
    index = _at(text, 0, "{")
    if _next_is(text, index, "}"):
        return found
    while True:
        key, index = _decode(text, _skip_space(text, index).end())
        start = _skip_space(text, _at(text, index, ":")).end()
        value, end = _decode(text, start)
        found[key] = text[start:end]
        if not _next_is(text, end, ","):
            _at(text, end, "}")
            return found
        index = _at(text, end, ",")


def raw_elements(text):
    """The raw texts of the elements of a JSON array."""
    found = []
    index = _at(text, 0, "[")
    if _next_is(text, index, "]"):
        return found
    while True:
        start = _skip_space(text, index).end()
        _, end = _decode(text, start)
        found.append(text[start:end])
        if not _next_is(text, end, ","):
            _at(text, end, "]")
            return found
        index = _at(text, end, ",")


def stream_id(descriptor):
    """A namespace that is null is one that is absent; one that is "" is neither."""
    return (descriptor.get("namespace"), descriptor["name"])


def stream_name(stream):
    namespace, name = stream
    return name if namespace is None else f"{namespace}.{name}"


def state_stream(state_text):
    """Which stream's state this is, given the text of an unwrapped state message."""
    state = json.loads(state_text)
    if state.get("type") == "STREAM":
        return stream_id(state["stream"]["stream_descriptor"])
    return (None, f"<{state.get('type', 'LEGACY')}>")


@dataclass(frozen=True, slots=True)
class Record:
    stream: tuple
    data: str  # exact text
    emitted_at: str  # exact text
    meta: str  # canonical text, "null" when absent


@dataclass(frozen=True, slots=True)
class State:
    stream: tuple
    text: str  # exact text of the unwrapped message, which is what a source takes with --state
    line: bytes  # the whole line, which is what ingest must echo


@dataclass(frozen=True, slots=True)
class Status:
    stream: tuple
    status: str


def parse(line):
    """A Record, a State, a Status, or None for any other message and for what is no message at all."""
    try:
        text = line.decode()
        outer = raw_members(text)
        kind = json.loads(outer.get("type", "null"))
        if kind == "RECORD":
            inner = raw_members(outer["record"])
            stream = (json.loads(inner.get("namespace", "null")), json.loads(inner["stream"]))
            meta = json.dumps(json.loads(inner.get("meta", "null")), sort_keys=True)
            return Record(stream, inner["data"], inner["emitted_at"], meta)
        if kind == "STATE":
            return State(state_stream(outer["state"]), outer["state"], line)
        if kind == "TRACE":
            trace = json.loads(outer["trace"])
            if trace["type"] == "STREAM_STATUS":
                status = trace["stream_status"]
                return Status(stream_id(status["stream_descriptor"]), status["status"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def parse_lines(data):
    """Of the whole lines in `data`, those that matter here; and what follows the last line's end."""
    *lines, torn = data.split(b"\n")
    return [m for m in (parse(line + b"\n") for line in lines) if m is not None], torn
