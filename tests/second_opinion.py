#!/usr/bin/env python3
"""A second reader of Highwater's format, written from DESIGN.md alone; it shares no code with the first.

    second_opinion.py DIR          check the log in DIR and print what it holds as one JSON document
    second_opinion.py --hex DIR    the first Data frame of the first live segment, field by field

Wants a log that was closed or whose writer is alive; it does not recover. Python 3.11, standard library only.
"""
import json
import os
import struct
import sys
import uuid
from zlib import crc32

BLOCK = 4096
BASE = 0x8000_0000  # the bit that tells a base file's number
KINDS = "None Start Data Part Commit Define Index Waypoint Recovery Pruned Seal Close Pad".split()
OPS = [None, "insert", "upsert", "update", "delete", "truncate"]
U64 = 2**64 - 1


class Damage(Exception):
    pass


def check(file, byte, what, expected, found):
    if expected != found:
        raise Damage(f"{file}, byte {byte}: {what}: expected {expected}, found {found}")


def place(address):
    return f"segment {address >> 32:08x} byte {address & 0xFFFFFFFF}"


class Cursor:
    """Takes values off `data`, which begins at byte `at` of `file`."""

    def __init__(self, data, file, at):
        self.data, self.file, self.at, self.pos = data, file, at, 0

    def check(self, what, expected, found):
        check(self.file, self.at + self.pos, what, expected, found)

    def take(self, count):
        if self.pos + count > len(self.data):
            self.check("too short", f"{count} more bytes", f"{len(self.data) - self.pos}")
        self.pos += count
        return self.data[self.pos - count:self.pos]

    def u8(self): return self.take(1)[0]
    def u32(self): return int.from_bytes(self.take(4), "little")
    def u64(self): return int.from_bytes(self.take(8), "little")
    def i64(self): return int.from_bytes(self.take(8), "little", signed=True)
    def uuid(self): return str(uuid.UUID(int=int.from_bytes(self.take(16), "little")))
    def text(self): return self.take(self.varint()).decode()
    def list(self, item): return [item() for _ in range(self.varint())]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                if value > U64:
                    self.check("varint", "at most 64 bits", value)
                return value
            if shift > 63:
                self.check("varint", "at most 10 bytes", "more")

    def left(self): return len(self.data) - self.pos
    def done(self): self.check("behind the last field", "0 bytes", f"{self.left()} bytes")

    def zeros(self, count):
        start = self.at + self.pos
        for i, byte in enumerate(self.take(count)):
            check(self.file, start + i, "padding", 0, byte)


class File:
    """A segment or a base file: its header is checked, its frames are when they are read."""

    def __init__(self, directory, number, log):
        self.number = number
        self.name = f"base-{number ^ BASE:08x}.hws" if number & BASE else f"{number:08x}.hws"
        try:
            with open(os.path.join(directory, self.name), "rb") as file:
                self.data = file.read()
        except FileNotFoundError:
            raise Damage(f"{self.name}, byte 0: expected a file, found none") from None
        c = Cursor(self.data[:128], self.name, 0)
        c.check("magic", b"hwsegmnt", c.take(8))
        c.check("header CRC", crc32(self.data[:124]), int.from_bytes(self.data[124:128], "little"))
        _version, least, required, _optional = struct.unpack("<HHII", c.take(12))
        if least > 1 or required:
            c.check("needs", "version 1 and no features", f"version {least} and features {required:#x}")
        c.check("segment number", number, c.u32())
        c.check("log", log, c.uuid())
        self.salt = c.take(8)
        c.check("file size", c.u64(), len(self.data))
        c.check("log2 of the block size", 12, c.u8())
        c.check("checksum kind", 1, c.u8())
        c.zeros(2)
        c.take(12)  # the window; the creation time
        c.zeros(52)
        self.frames = {}

    def frame(self, offset):
        if offset not in self.frames:
            self.frames[offset] = Frame(self, offset)
        return self.frames[offset]


class Frame:
    def __init__(self, file, offset):
        self.file, self.offset, self.address = file.name, offset, file.number << 32 | offset
        c = Cursor(file.data[offset:], file.name, offset)
        check(file.name, offset, "the frame's place", 0, offset % 8)
        head = c.take(40)
        self.kind, flags, key, length, self.epoch, self.stream, self.durable, body_crc, self.content_crc, \
            self.records, head_crc = struct.unpack("<BBHIIIQIIII", head)
        stamp = file.salt + self.address.to_bytes(8, "little")
        check(file.name, offset + 36, "CRC of the frame's header", crc32(stamp + head[:36]), head_crc)
        check(file.name, offset, "kind (1 to 12), flags, key", (True, 0, 0), (1 <= self.kind <= 12, flags, key))
        self.kind = KINDS[self.kind]
        self.body = c.take(length)
        check(file.name, offset + 40, "CRC of the body", crc32(self.body), body_crc)
        content = self.body[8 if self.kind == "Data" else 0:]
        check(file.name, offset + 28, "CRC of the content", crc32(content), self.content_crc)
        c.zeros(-c.pos % 8)
        marker = 0x74696D6D6F637768 ^ self.address ^ (self.epoch * 0x9E3779B97F4A7C15 & U64)
        check(file.name, offset + c.pos, "commit marker", f"{marker:016x}", f"{c.u64():016x}")
        self.end = self.address + c.pos
        if self.kind == "Pad":
            self.cursor().zeros(length)
            check(file.name, offset, "bytes from a pad's end to the next block", 0, -self.end % BLOCK)

    def cursor(self):
        return Cursor(self.body, self.file, self.offset + 40)


class Log:
    def __init__(self, directory):
        self.directory, self.files = directory, {}
        self.mark = self.read_mark()
        self.first_live = self.mark["first_live"]
        self.base = {}
        self.base_files = set()

    def read_mark(self):
        with open(os.path.join(self.directory, "mark"), "rb") as file:
            data = file.read()
        slots = []
        for at in (0, 512):
            slot = data[at:at + 512]
            if slot[:8] == b"hwmark01" and crc32(slot[:508]) == int.from_bytes(slot[508:], "little"):
                c = Cursor(slot, "mark", at)
                c.take(8)
                mark = {"log": c.uuid(), "generation": c.u64(), "boot": c.uuid(), "pid": c.u32(), "epoch": c.u32(),
                        "durable": c.u64(), "sequence": c.u64(), "id": c.uuid(), "active": c.u32(),
                        "snapshot": c.u64(), "first_live": c.u32(), "clean": c.u8()}
                c.zeros(508 - c.pos)
                slots.append(mark)
        if not slots:
            raise Damage("mark, byte 0: expected a slot with a valid CRC, found none")
        return max(slots, key=lambda mark: mark["generation"])

    def file(self, number):
        if number not in self.files:
            self.files[number] = File(self.directory, number, self.mark["log"])
        return self.files[number]

    def frame(self, address, *kinds):
        frame = self.file(address >> 32).frame(address & 0xFFFFFFFF)
        if kinds and frame.kind not in kinds:
            check(frame.file, frame.offset, "kind of frame", " or ".join(kinds), frame.kind)
        return frame

    def walk(self, at, end):
        """The frames from `at` on, segment after segment, up to the address `end`."""
        epoch = 0
        while at < end:
            frame = self.frame(at)
            if frame.epoch < epoch:
                check(frame.file, frame.offset + 8, "epoch", f"{epoch} or more", frame.epoch)
            if frame.durable > frame.address:
                check(frame.file, frame.offset + 16, "durable", f"at most {place(at)}", place(frame.durable))
            check(frame.file, frame.offset, "a Start, at byte 4096 only", at & 0xFFFFFFFF == BLOCK, frame.kind == "Start")
            epoch, at = frame.epoch, frame.end
            yield frame
            if frame.kind == "Seal":
                at = ((frame.address >> 32) + 1) << 32 | BLOCK
        if at != end and at & 0xFFFFFFFF != BLOCK:
            raise Damage(f"{place(at)}: expected the log's durable end, found it inside a frame, at {place(end)}")

    def retain(self, retained):
        """Turns to what a snapshot or a Pruned frame says is retained, and reads the base files."""
        self.first_live, self.first, base_index = retained["first_live"], retained["first"], retained["base_index"]
        self.base_files, self.base = {number for number, _ in retained["base_files"]}, {}
        for number, size in retained["base_files"]:
            file, offset, order = self.file(number), BLOCK, 0
            check(file.name, 0, "file size", size, len(file.data))
            while True:
                frame = file.frame(offset)
                check(file.name, offset + 8, "epoch in a base file", 0, frame.epoch)
                if frame.kind not in ("Part", "Define", "Index"):
                    check(file.name, offset, "kind of frame", "Part, Define or Index", frame.kind)
                if order > (order := ("Part", "Define", "Index").index(frame.kind)):
                    check(file.name, offset, "order", "Part* Define* Index", frame.kind)
                if frame.kind == "Index":
                    break
                offset = frame.end & 0xFFFFFFFF
        if base_index:
            previous, self.base = self.read_index(self.frame(base_index, "Index"))
            check("base index", base_index & 0xFFFFFFFF, "previous index (it is full)", 0, previous)

    def gone(self, address):
        number = address >> 32
        return number not in self.base_files if number & BASE else number < self.first_live

    def read_index(self, frame):
        """Its predecessor, and {stream: {"define": {..} or absent, "state": {..} or absent, "dropped": bool}}."""
        c, entries = frame.cursor(), {}
        previous = c.u64()
        while c.left():
            stream, what, entry = c.varint(), c.u8(), {}
            if what > 15 or what & 1 == 0 and what & 6:
                c.check("what an index entry tells", "bits 1, 2, 4, 8", what)
            entry["dropped"] = bool(what & 4)
            if what & 1:
                address, fingerprint, name = c.u64(), f"{c.u64():016x}", {"name": c.text()}
                if what & 2:
                    name["namespace"] = c.text()
                if not self.gone(address):
                    define = self.read_define(self.frame(address, "Define"))
                    c.check("the stream's number and drop", (stream, entry["dropped"]), (define["id"], define.pop("dropped")))
                elif stream in self.base:
                    define = self.base[stream]["define"]
                else:
                    c.check("an entry of the base index", f"one for stream {stream}", "none")
                c.check("the definition", (name, fingerprint), (define["name"], define["fingerprint"]))
                entry["define"] = define
            if what & 8:
                address, at, length, crc, since = c.u64(), c.varint(), c.varint(), c.u32(), c.varint()
                if not self.gone(address):
                    holder = self.frame(address, "Commit", "Part").cursor()
                    holder.take(at)
                    text = holder.take(length)
                elif "state" in self.base.get(stream, {}):
                    text = self.base[stream]["state"]["text"].encode()
                else:
                    c.check("an entry of the base index", f"one with the state of {stream}", "none")
                c.check("CRC of the state", crc, crc32(text))
                entry["state"] = {"since": since, "text": text.decode()}
            entries[stream] = entry
        return previous, entries

    def read_define(self, frame):
        c = frame.cursor()
        stream, version, _previous, since, fingerprint, flags = \
            c.varint(), c.varint(), c.u64(), c.varint(), f"{c.u64():016x}", c.u8()
        c.check("flags of a definition", flags & 7, flags)
        name = {"name": c.text()}
        if flags & 1:
            name["namespace"] = c.text()
        key = c.list(lambda: c.list(c.text))
        schema = c.text() if flags & 2 else None
        c.done()
        return {"id": stream, "name": name, "key": key, "schema": schema, "fingerprint": fingerprint,
                "version": version, "since": since, "dropped": bool(flags & 4)}

    def read_retained(self, c):
        return {"first_live": c.u32(), "first": c.u64(), "base_index": c.u64(), "base_files": c.list(lambda: (c.u32(), c.u32()))}

    def read_snapshot(self, c):
        names = "sequence id commit time records bytes next_stream index lowest"
        takes = c.u64, c.uuid, c.u64, c.i64, c.u64, c.u64, c.u32, c.u64, c.u64
        snapshot = {name: take() for name, take in zip(names.split(), takes)}
        retained = self.read_retained(c)
        c.done()
        return snapshot, retained

    def read_start(self, frame):
        """(end of the segment before, its Seal), the snapshot, what it says is retained."""
        c = frame.cursor()
        before = (c.u64(), c.u64()) if frame.kind == "Start" else None
        return before, *self.read_snapshot(c)

    def live(self, snapshot):
        """What the chain of indexes behind a snapshot says: the base index, then the chain, oldest first."""
        chain, at = [], snapshot["index"]
        while at and not self.gone(at):
            previous, entries = self.read_index(self.frame(at, "Index"))
            chain.append(entries)
            at = previous
        if at or not chain:
            chain.append(self.base)
        live = {}
        for entries in reversed(chain):
            live.update({stream: dict(entry) for stream, entry in entries.items()})
        return live

    def read_extents(self, c):
        return c.list(lambda: (c.u64(), c.varint(), c.varint()))

    def read_records(self, stream, extents):
        records, checksum, last = [], 0, 0
        for address, size, frames in extents:
            at = address
            for _ in range(frames):
                frame = self.frame(at, "Data")
                check(frame.file, frame.offset + 12, "stream", stream, frame.stream)
                checksum, at, c = crc32(frame.body[8:], checksum), frame.end, frame.cursor()
                c.check("base time", last, c.i64())
                for _ in range(frame.records):
                    op = c.u8()
                    if not 1 <= op <= 5:
                        c.check("operation", "1 to 5", op)
                    step = c.varint()
                    last += step >> 1 ^ -(step & 1)
                    last = (last + 2**63) % 2**64 - 2**63
                    lengths = c.varint(), c.varint(), c.varint()
                    key, metadata, payload = (c.take(length).decode() for length in lengths)
                    records.append({"op": OPS[op], "emitted_us": last, "key": key, "metadata": metadata, "payload": payload})
                c.done()
            check(frame.file, address & 0xFFFFFFFF, "bytes of the extent", size, at - address)
        return records, checksum

    def read_commit(self, frame, live, readable):
        """The checkpoint (None below the first readable one), its snapshot fields; puts its states into `live`."""
        c = frame.cursor()
        sequence, id, time, flags, previous, low = c.u64(), c.uuid(), c.i64(), c.u32(), c.u64(), c.u64()
        c.check("flags of a commit", flags & 7, flags)
        streams, total_records, total_bytes = [], 0, 0
        for _ in range(c.varint()):
            stream, count, size, fingerprint, checksum = c.varint(), c.varint(), c.varint(), f"{c.u64():016x}", c.u32()
            if digest := c.u8():
                c.check("digest", 1, digest)
                c.take(32)
            parts, extents = c.list(c.u64), self.read_extents(c)
            total_records, total_bytes = total_records + count, total_bytes + size
            if not readable(sequence):
                continue
            for address in reversed(parts):
                part = self.frame(address, "Part").cursor()
                part.check("kind of part", 1, part.u8())
                extents = self.read_extents(part) + extents
                part.done()
            for address, _, _ in extents:
                if address < low:
                    c.check("low", f"at most {place(address)}", place(low))
            records, crc = self.read_records(stream, extents)
            sizes = sum(len(r[k].encode()) for r in records for k in ("key", "metadata", "payload"))
            c.check(f"records, bytes, checksum of stream {stream}", (count, size, checksum), (len(records), sizes, crc))
            streams.append({"stream": stream, "name": live[stream]["define"]["name"], "bytes": size,
                            "checksum": checksum, "fingerprint": fingerprint, "records": records})
        for _ in range(c.varint()):
            stream, kind = c.varint(), c.u8()
            if kind == 3:
                live[stream].pop("state", None)
                continue
            crc = c.u32()
            if kind == 1:
                text = c.take(c.varint())
            else:
                c.check("kind of state", 2, kind)
                length, part = c.varint(), self.frame(c.u64(), "Part").cursor()
                part.check("kind of part", 2, part.u8())
                text = part.take(part.left())
                part.check("length of the state", length, len(text))
            c.check("CRC of the state", crc, crc32(text))
            live.setdefault(stream, {"dropped": False})["state"] = {"since": sequence, "text": text.decode()}
        labels = dict(c.list(lambda: (c.text(), c.text())))
        c.done()
        checkpoint = {"sequence": sequence, "id": id, "time_us": time, "global": bool(flags & 1), "labels": labels, "streams": streams}
        return checkpoint, previous, low, total_records, total_bytes

    def read(self):
        # What is retained: the newest snapshot's word, or that of the last Pruned frame behind it.
        head = self.frame(self.mark["snapshot"], "Start", "Waypoint")
        _, _, retained = self.read_start(head)
        for frame in self.walk(head.address, self.mark["durable"]):
            if frame.kind == "Pruned":
                c = frame.cursor()
                c.i64()
                retained = self.read_retained(c)
                c.list(lambda: (c.text(), c.varint()))
                c.done()
        self.retain(retained)
        # Everything from the first live segment on; each snapshot on the way has to agree with what was seen so far.
        checkpoints, live, so_far, directory, seal = [], None, None, {}, None
        for frame in self.walk(self.first_live << 32 | BLOCK, self.mark["durable"]):
            at, c = (frame.file, frame.offset), frame.cursor()
            if frame.kind in ("Start", "Waypoint"):
                before, snapshot, _ = self.read_start(frame)
                if frame.kind == "Start":
                    check(*at, "the index of a Start", place(frame.end), place(snapshot["index"]))
                    directory, lowest = {}, 0
                    if seal:
                        check(*at, "the end and the Seal of the segment before", (seal.end, seal.address), before)
                if so_far:
                    check(*at, "snapshot", so_far | {"index": snapshot["index"], "lowest": lowest}, snapshot)
                    check(*at, "states and streams of a snapshot", live, self.live(snapshot))
                live, so_far = self.live(snapshot), snapshot
            elif frame.kind == "Define":
                define = self.read_define(frame)
                entry = live.setdefault(define["id"], {})
                entry["dropped"], entry["define"] = define.pop("dropped"), define
                so_far["next_stream"] = max(so_far["next_stream"], define["id"] + 1)
            elif frame.kind == "Commit":
                checkpoint, previous, low, records, size = self.read_commit(frame, live, lambda sequence: sequence >= self.first)
                check(*at, "sequence, previous commit", (so_far["sequence"] + 1, so_far["commit"]), (checkpoint["sequence"], previous))
                if checkpoint["time_us"] < so_far["time"]:
                    check(*at, "commit time", f"{so_far['time']} or later", checkpoint["time_us"])
                lowest = min(lowest or low, low)
                directory[checkpoint["sequence"]] = frame.offset
                so_far = so_far | {"sequence": checkpoint["sequence"], "id": checkpoint["id"], "commit": frame.address,
                                   "time": checkpoint["time_us"], "records": so_far["records"] + records, "bytes": so_far["bytes"] + size}
                if checkpoint["sequence"] >= self.first:
                    checkpoints.append(checkpoint)
            elif frame.kind == "Seal":
                seal = frame
                check(*at, "sequence, time, lowest extent of a Seal", (so_far["sequence"], so_far["time"], lowest), (c.u64(), c.i64(), c.u64()))
                for sequence, offset in c.list(lambda: (c.u64(), c.u32())):
                    c.check(f"the Seal's offset of commit {sequence}", directory.get(sequence), offset)
                c.done()
        check("mark", 0, "last sequence and checkpoint", (so_far["sequence"], so_far["id"]), (self.mark["sequence"], self.mark["id"]))
        streams = [live[stream] for stream in sorted(live) if stream and not live[stream]["dropped"]]
        return {"log": self.mark["log"], "first": self.first, "checkpoints": checkpoints,
                "global": live.get(0, {}).get("state"),
                "states": [{"name": s["define"]["name"]} | s["state"] for s in streams if "state" in s],
                "streams": [s["define"] | s["define"]["name"] for s in streams]}


def show_hex(log):
    frame = next(frame for frame in log.walk(log.first_live << 32 | BLOCK, log.mark["durable"]) if frame.kind == "Data")
    data, at = log.file(frame.address >> 32).data, frame.offset
    print(f"{frame.file}, byte {at}, address {frame.address:#018x}, salt {log.file(frame.address >> 32).salt.hex(' ')}")

    def field(size, what):
        nonlocal at
        for start in range(at, at + size, 16):
            line = data[start:min(start + 16, at + size)]
            text = "".join(chr(b) if 32 <= b < 127 else "." for b in line)
            print(f"{start:6}  {line.hex(' '):47}  {what if start == at else '  ' + text}")
        at += size

    for size, what in ((1, "kind: 2, Data"), (1, "flags"), (2, "key id"), (4, f"body length: {len(frame.body)}"),
                       (4, f"epoch: {frame.epoch}"), (4, f"stream: {frame.stream}"), (8, f"durable: {place(frame.durable)}"),
                       (4, "CRC of the body"), (4, "CRC of the content (the body from its byte 8 on)"),
                       (4, f"records: {frame.records}"), (4, "CRC of salt, address, and the 36 bytes before"), (8, "base time")):
        field(size, what)
    c = frame.cursor()
    c.i64()

    def step(take, what):
        before = c.pos
        value = take()
        field(c.pos - before, what.format(value))
        return value

    for number in range(1, frame.records + 1):
        step(c.u8, f"record {number}: op {{}}")
        step(c.varint, "  time difference, zigzag: {}")
        sizes = [step(c.varint, f"  {name} length: {{}}") for name in ("key", "metadata", "payload")]
        for size, name in zip(sizes, ("key", "metadata", "payload")):
            step(lambda: c.take(size).decode(), f"  {name}" if size > 40 else f"  {name}: {{}}")
    field(-at % 8, "zeros up to a multiple of 8")
    field(8, "commit marker")


def main():
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["--hex"]:
            show_hex(Log(arguments[1]))
        else:
            json.dump(Log(arguments[0]).read(), sys.stdout, indent=1)
            print()
    except (Damage, UnicodeDecodeError, OSError) as error:
        print(f"second_opinion.py: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
