"""Airbyte messages, with the *exact text* of the parts that must come out of the log unchanged.

`json.loads` alone would hide what this test is after: it takes 1.0 for 1, and forgets the order of keys and how a
character was escaped. So values are cut out of the line by their offsets.
"""

import json
import re
from dataclasses import dataclass

_scan = json.JSONDecoder().scan_once
_space = re.compile(r"[ \t\r\n]*").match
_colon = re.compile(r"[ \t\r\n]*:[ \t\r\n]*").match
_separator = re.compile(r"[ \t\r\n]*([,\]}])[ \t\r\n]*").match


def _decode(text, start):
    """(value, where it ends)."""
    try:
        return _scan(text, start)
    except StopIteration:
        raise ValueError(f"no JSON value at character {start}") from None


def _open(text, index, bracket):
    """Where the first thing inside begins."""
    index = _space(text, index).end()
    if text[index : index + 1] != bracket:
        raise ValueError(f"no {bracket} at character {index}")
    return _space(text, index + 1).end()


def _after(text, end, closing):
    """Where the next thing after a comma begins; None after the closing bracket."""
    found = _separator(text, end)
    if not found or found[1] not in ("," + closing):
        raise ValueError(f"neither a comma nor {closing} at character {end}")
    return found.end() if found[1] == "," else None


def members(text, index=0):
    """{key: (start, end) of its value} for the JSON object at `index`."""
    found = {}
    index = _open(text, index, "{")
    if text[index : index + 1] == "}":
        return found
    while index is not None:
        key, end = _decode(text, index)
        colon = _colon(text, end)
        if not colon or not isinstance(key, str):
            raise ValueError(f"no key and colon at character {index}")
        start = colon.end()
        _, end = _decode(text, start)
        found[key] = (start, end)
        index = _after(text, end, "}")
    return found


def raw_elements(text):
    """The exact texts of the elements of a JSON array."""
    found = []
    index = _open(text, 0, "[")
    if text[index : index + 1] == "]":
        return found
    while index is not None:
        _, end = _decode(text, index)
        found.append(text[index:end])
        index = _after(text, end, "]")
    return found


def stream_id(descriptor, name="name"):
    """A namespace that is null is one that is absent; one that is "" is neither."""
    return (descriptor.get("namespace"), descriptor[name])


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
    line: bytes  # the whole line with its end, which is what ingest must echo


@dataclass(frozen=True, slots=True)
class Status:
    stream: tuple
    status: str


def parse(line):
    """A Record, a State, a Status, or None for any other message and for what is no message at all."""
    try:
        text = line.decode()
        whole = json.loads(text)
        kind = whole["type"]
        if kind == "RECORD":
            record = whole["record"]
            inside = members(text, members(text)["record"][0])
            data, emitted_at = (text[slice(*inside[key])] for key in ("data", "emitted_at"))
            return Record(stream_id(record, "stream"), data, emitted_at, json.dumps(record.get("meta"), sort_keys=True))
        if kind == "STATE":
            state = text[slice(*members(text)["state"])]
            # Ingest ends the line that it echoes, also when the source was killed before it could.
            return State(state_stream(state), state, line.removesuffix(b"\n") + b"\n")
        if kind == "TRACE" and whole["trace"]["type"] == "STREAM_STATUS":
            status = whole["trace"]["stream_status"]
            return Status(stream_id(status["stream_descriptor"]), status["status"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def parse_lines(data):
    """Of the whole lines in `data`, those that matter here; and what follows the last line's end."""
    *lines, torn = data.split(b"\n")
    return [m for m in (parse(line + b"\n") for line in lines) if m is not None], torn
