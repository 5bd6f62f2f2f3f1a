#!/usr/bin/env python3
"""A second reader of Highwater's format, written from DESIGN.md alone; it shares no code with the first.

    second_opinion.py DIR          check the log in DIR and print what it holds as one JSON document
    second_opinion.py --hex DIR    the first Data frame of the first live segment, field by field

It reads up to the mark's durable address and recovers nothing. Python 3.11, standard library only. The BLAKE3 digests and
fingerprints are read, not verified: BLAKE3 is not in that library. LZ4 is decoded here; zstd only where Python has it (3.14, or
the module zstandard). Else the bodies' CRCs are checked, the records of such a stream are null, and a line on stderr says so.
"""
import json
import struct
import sys
from collections import namedtuple
from pathlib import Path
from uuid import UUID
from zlib import crc32

BLOCK = 4096
BASE = 0x8000_0000  # in a file's number: it is a base file
KINDS = [None] + "Start Data Part Commit Define Index Waypoint Recovery Pruned Seal Close Pad Repaired Opened".split()
CODECS = [None, "LZ4", "zstd"]
OPS = [None] + "insert upsert update delete truncate".split()

Snapshot = namedtuple("Snapshot", "sequence id commit time records bytes next_stream index lowest")
Retained = namedtuple("Retained", "first_live first base_index base_files base_commit data_files")
Mark = namedtuple("Mark", "magic log generation boot pid epoch durable sequence id active snapshot first_live clean")


class Damage(Exception):
    pass


def check(file, byte, what, expected, found):
    if expected != found:
        raise Damage(f"{file}, byte {byte}: {what}: expected {expected}, found {found}")


def u128(raw):
    return str(UUID(bytes=raw[::-1]))


def unpack_lz4(packed):
    """An LZ4 block: literals, and copies of what stands so many bytes before."""
    out, at = bytearray(), 0

    def count(four_bits):
        nonlocal at
        total = four_bits
        while four_bits == 15:
            at, total = at + 1, total + packed[at]
            if packed[at - 1] < 255:
                break
        return total

    while at < len(packed):
        token, at = packed[at], at + 1
        size = count(token >> 4)
        out, at = out + packed[at:at + size], at + size
        if at >= len(packed):
            break
        distance, at = int.from_bytes(packed[at:at + 2], "little"), at + 2
        if not 1 <= distance <= len(out):
            raise ValueError(f"a copy from {distance} bytes before")
        for _ in range(count(token & 15) + 4):
            out.append(out[-distance])
    return bytes(out)


def unpack_zstd(packed):
    """None: this Python has no zstd."""
    try:
        from compression import zstd
        return zstd.decompress(packed)
    except ImportError:
        pass
    try:
        import zstandard
        return zstandard.ZstdDecompressor().decompress(packed)
    except ImportError:
        return None


def place(address):
    return f"segment {address >> 32:08x} byte {address & 0xFFFFFFFF}"


class Cursor:
    """Takes the values between two offsets of a file, one after the other."""

    def __init__(self, file, data, pos, end):
        self.file, self.data, self.pos, self.end = file, data, pos, end

    def check(self, what, expected, found):
        check(self.file, self.pos, what, expected, found)

    def left(self):
        return self.end - self.pos

    def take(self, size):
        if size > self.left():
            self.check("length", f"{size} more bytes", self.left())
        self.pos += size
        return self.data[self.pos - size:self.pos]

    def unpack(self, layout):
        values = struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))
        return values if len(values) > 1 else values[0]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.unpack("B")
            value |= (byte & 127) << shift
            if byte < 128:
                break
        if byte >= 128 or value >= 2**64:
            self.check("varint", "at most 64 bits", "more")
        return value

    def text(self):
        return self.take(self.varint()).decode()

    def list(self, item):
        return [item() for _ in range(self.varint())]

    def zeros(self, size):
        self.check("zeros", bytes(size).hex(), self.take(size).hex())

    def done(self):
        self.check("bytes behind the last field", 0, self.left())


class File:
    """A segment or a base file. Its header is checked now, a frame when it is read."""

    def __init__(self, directory, number, log):
        self.number, self.name = number, f"base-{number ^ BASE:08x}.hws" if number & BASE else f"{number:08x}.hws"
        path = directory / self.name
        check(self.name, 0, "the file", True, path.exists())
        self.data, self.frames = path.read_bytes(), {}
        c = Cursor(self.name, self.data, 0, min(BLOCK, len(self.data)))
        magic, _version, least, required, _optional, found, uuid, self.salt, size, block, checksum, _zero, _window, _time = \
            c.unpack("8sHHIII16s8sQBBHIQ")
        c.zeros(52)
        c.check("CRC of the segment header", crc32(self.data[:124]), c.unpack("I"))
        c.check("magic", b"hwsegmnt", magic)
        c.check("least version, required features", (1, 0), (least, required))
        c.check("log2 of the block size, checksum kind, zero", (12, 1, 0), (block, checksum, _zero))
        c.check("number, log, size", (number, log, len(self.data)), (found, u128(uuid), size))

    def frame(self, offset):
        if offset not in self.frames:
            self.frames[offset] = Frame(self, offset)
        return self.frames[offset]


class Frame:
    def __init__(self, file, offset):
        self.source, self.file, self.offset, self.address = file, file.name, offset, file.number << 32 | offset
        c = Cursor(file.name, file.data, offset, len(file.data))
        kind, flags, key, self.size, self.epoch, self.stream, self.durable, body_crc, content_crc, self.records = \
            c.unpack("BBHIIIQIII")
        salted = file.salt + struct.pack("<Q", self.address) + file.data[offset:c.pos]
        c.check("CRC of the frame's header", crc32(salted), c.unpack("I"))
        self.check("kind is known, key id, offset modulo 8", (True, 0, 0), (1 <= kind < len(KINDS), key, offset % 8))
        self.kind, self.body = KINDS[kind], c.take(self.size)
        self.check("flags", flags if self.kind == "Data" and flags < len(CODECS) else 0, flags)
        self.check("CRC of body", crc32(self.body), body_crc)
        self.codec = CODECS[flags]
        self.content = self.unpack() if self.codec else self.body[8:] if self.kind == "Data" else self.body
        if self.content is not None:
            self.check("CRC of content", crc32(self.content), content_crc)
        c.zeros(-c.pos % 8)
        marker = 0x74696D6D6F637768 ^ self.address ^ (self.epoch * 0x9E3779B97F4A7C15 % 2**64)
        c.check("commit marker", hex(marker), hex(c.unpack("Q")))
        self.end = self.address + c.pos - offset
        if self.kind == "Pad":
            self.check("a pad's zeros, distance from its end to a block", (bytes(self.size), 0), (self.body, self.end % BLOCK))

    def check(self, what, expected, found):
        check(self.file, self.offset, f"{what} (frame)", expected, found)

    def unpack(self):
        """The content of a compressed Data frame; None if its codec is not here."""
        c = Cursor(self.file, self.body, 8, self.size)
        size, packed = c.varint(), c.take(c.left())
        try:
            content = (unpack_lz4 if self.codec == "LZ4" else unpack_zstd)(packed)
        except Exception as error:
            self.check(f"{self.codec} content", "to be decompressed", repr(error))
        if content is not None:
            self.check("length of the content", len(content), size)
        return content

    def cursor(self):
        if self.codec:
            return Cursor(f"{self.file} (content of the frame at {self.offset})", self.body[:8] + self.content, 0, 8 + len(self.content))
        start = self.offset + 40
        return Cursor(self.file, self.source.data, start, start + self.size)


def read_mark(directory):
    data, slots = (directory / "mark").read_bytes(), []
    for at in (0, 4096):
        slot = data[at:at + 512]
        if slot[:8] == b"hwmark01" and crc32(slot[:508]) == int.from_bytes(slot[508:], "little"):
            slots.append(Mark(*Cursor("mark", data, at, at + 508).unpack("8s16sQ16sIIQQ16sIQIB")))
    check("mark", 0, "a slot with a valid CRC", True, bool(slots))
    return max(slots, key=lambda mark: mark.generation)


def read_retained(c):
    sizes = lambda: c.list(lambda: c.unpack("II"))
    head, bases, commit = c.unpack("IQQ"), sizes(), c.unpack("Q")
    return Retained(*head, bases, commit, sizes() if commit else [])


def read_snapshot(frame):
    """Of a Start or Waypoint: (end of the segment before, its Seal) of a Start, Snapshot, Retained."""
    c = frame.cursor()
    before = c.unpack("QQ") if frame.kind == "Start" else None
    snapshot, retained = Snapshot(*c.unpack("Q16sQqQQIQQ")), read_retained(c)
    c.done()
    return before, snapshot, retained


def read_name(c, has_namespace):
    name = {"name": c.text()}
    return {"namespace": c.text(), **name} if has_namespace else name


def read_define(frame):
    """The stream's number, and its entry: {"define": {...}, "dropped": bool}; a state may join it as "state"."""
    c = frame.cursor()
    stream, version, _previous, since = c.varint(), c.varint(), c.unpack("Q"), c.varint()
    fingerprint, flags = c.unpack("QB")
    c.check("flags of a definition", flags & 7, flags)
    name, key = read_name(c, flags & 1), c.list(lambda: c.list(c.text))
    schema = c.text() if flags & 2 else None
    c.done()
    define = {"id": stream, "name": name, "key": key, "schema": schema, "fingerprint": f"{fingerprint:016x}",
              "version": version, "since": since}
    return stream, {"define": define, "dropped": bool(flags & 4)}


def read_extents(c):
    return c.list(lambda: (c.unpack("Q"), c.varint(), c.varint()))


class Log:
    def __init__(self, directory):
        self.directory, self.files, self.mark = Path(directory), {}, read_mark(Path(directory))
        head = self.frame(self.mark.snapshot, "Start", "Waypoint")
        self.retained = read_snapshot(head)[2]
        for frame in self.walk(head.address):
            if frame.kind == "Pruned":
                c = frame.cursor()
                _time, self.retained = c.unpack("q"), read_retained(c)
                c.list(lambda: (c.text(), c.varint()))
                c.done()
        self.base = self.read_base()

    def frame(self, address, *kinds):
        number = address >> 32
        if number not in self.files:
            self.files[number] = File(self.directory, number, u128(self.mark.log))
        frame = self.files[number].frame(address & 0xFFFFFFFF)
        if frame.kind not in (kinds or KINDS):
            frame.check("kind", " or ".join(kinds), frame.kind)
        return frame

    def walk(self, at):
        """The frames from an address to the durable end, segment after segment."""
        epoch = 0
        while at < self.mark.durable:
            frame = self.frame(at)
            frame.check("a Start, here and only at byte 4096", frame.offset == BLOCK, frame.kind == "Start")
            if frame.epoch < epoch or frame.durable > at:
                frame.check("epoch, durable", f"{epoch} or more, {at} or less", (frame.epoch, frame.durable))
            epoch, at = frame.epoch, frame.end
            yield frame
            if frame.kind == "Seal":
                at = (frame.address >> 32) + 1 << 32 | BLOCK
        frame.check("end of the last frame", self.mark.durable, frame.end)

    def read_base(self):
        for number, size in self.retained.base_files:
            at, kinds = number << 32 | BLOCK, ["Part", "Define", "Index"]
            while (frame := self.frame(at, *kinds)).kind != "Index":
                kinds, at = kinds[kinds.index(frame.kind):], frame.end
                frame.check("epoch, file size", (0, size), (frame.epoch, len(frame.source.data)))
        if not self.retained.base_index:
            return {}
        frame = self.frame(self.retained.base_index, "Index")
        previous, base = self.read_index(frame)
        frame.check("the index before a full one", 0, previous)
        return base

    def gone(self, address):
        number = address >> 32
        if number & BASE:
            return number not in [number for number, _ in self.retained.base_files + self.retained.data_files]
        return number < self.retained.first_live

    def read_index(self, frame):
        """The address of the index before, and {stream: its entry}."""
        c, entries = frame.cursor(), {}
        previous = c.unpack("Q")
        while c.left():
            stream, what = c.varint(), c.unpack("B")
            entry = {"dropped": bool(what & 4)}
            c.check("what is known of a stream", what & (15 if what & 1 else 8), what)
            if what & 1:
                address, fingerprint = c.unpack("QQ")
                name = read_name(c, what & 2)
                moved = self.base[stream] if self.gone(address) else read_define(self.frame(address, "Define"))[1]
                entry["define"] = moved["define"]
                c.check("stream, name, fingerprint", (stream, name, f"{fingerprint:016x}"),
                        tuple(entry["define"][k] for k in ("id", "name", "fingerprint")))
            if what & 8:
                address, offset, size, crc, since = c.unpack("Q"), c.varint(), c.varint(), c.unpack("I"), c.varint()
                if self.gone(address):
                    text = self.base[stream]["state"]["text"].encode()
                else:
                    text = self.frame(address, "Commit", "Part").body[offset:offset + size]
                c.check("length, CRC of a state", (size, crc), (len(text), crc32(text)))
                entry["state"] = {"since": since, "text": text.decode()}
            entries[stream] = entry
        return previous, entries

    def live(self, at):
        """What the chain of indexes that ends with the one at `at` says: {stream: its entry}."""
        if at == 0 or self.gone(at):
            return dict(self.base) if at else {}
        previous, entries = self.read_index(self.frame(at, "Index"))
        return self.live(previous) | entries

    def read_base_checkpoint(self, live):
        """What a compaction left of all that is before the first live segment."""
        for number, size in self.retained.data_files:
            check(f"base-{number ^ BASE:08x}.hws", 48, "file size", size, len(self.frame(number << 32 | BLOCK).source.data))
        frame = self.frame(self.retained.base_commit, "Commit")
        number = int.from_bytes(frame.cursor().take(8), "little")
        frame.check("number of the base checkpoint", self.retained.first, number)
        before = Snapshot(number - 1, b"", 0, -2**63, 0, 0, 0, 0, 0)
        return self.read_commit(frame, live, before)[0]

    def read_records(self, stream, extents, is_base):
        records, checksum, last, unread = [], 0, 0, 0
        for start, size, frames in extents:
            at = start
            for _ in range(frames):
                frame = self.frame(at, "Data")
                if frame.content is None:
                    at, unread = frame.end, unread + 1
                    continue
                c, at, checksum = frame.cursor(), frame.end, crc32(frame.content, checksum)
                base_time = c.unpack("q")
                last = base_time if is_base else last  # whole frames were copied from other units
                frame.check("stream, base time", (stream, last), (frame.stream, base_time))
                for _ in range(frame.records):
                    op, step = c.unpack("B"), c.varint()
                    if not 1 <= op <= 5:
                        c.check("op", "1 to 5", op)
                    last = (last + (step >> 1 ^ -(step & 1)) + 2**63) % 2**64 - 2**63
                    sizes = c.varint(), c.varint(), c.varint()
                    key, metadata, payload = (c.take(size).decode() for size in sizes)
                    record = {"op": OPS[op], "emitted_us": last, "key": key, "metadata": metadata, "payload": payload}
                    records.append((record, sum(sizes)))
                c.done()
            check(f"{start >> 32:08x}.hws", start & 0xFFFFFFFF, "bytes of the extent", size, at - start)
        if unread:
            print(f"second_opinion.py: this Python has no zstd: {unread} frames of stream {stream} have good bodies, "
                  "and their records were not read", file=sys.stderr)
            return None, None, None
        return [record for record, _ in records], sum(size for _, size in records), checksum

    def read_commit(self, frame, live, before):
        """The checkpoint and the Snapshot that it makes of the one before; its states go to `live`."""
        c = frame.cursor()
        sequence, id, time, flags, previous, low = c.unpack("Q16sqIQQ")
        is_base = frame.address == self.retained.base_commit
        known = flags & 7 | 8 * is_base
        shown = self.retained.first + bool(self.retained.base_commit and not is_base)
        link = 0 if is_base else int.from_bytes(before.id[:8], "little")
        c.check("sequence, flags, link to the checkpoint before", (before.sequence + 1, known, link), (sequence, flags, previous))
        if time < before.time:
            c.check("time", f"{before.time} or later", time)
        streams, named, total_records, total_bytes = [], [frame.address], 0, 0
        for _ in range(c.varint()):
            stream, count, size = c.varint(), c.varint(), c.varint()
            fingerprint, checksum, digest = c.unpack("QIB")
            c.check("digest", digest & 1, digest)
            c.take(32 * digest)
            parts, extents, listed = c.list(lambda: c.unpack("Q")), read_extents(c), []
            total_records, total_bytes = total_records + count, total_bytes + size
            if sequence < shown:
                continue
            for address in parts:
                part = self.frame(address, "Part").cursor()
                part.check("kind of part", 1, part.unpack("B"))
                listed += read_extents(part)
                part.done()
            records, *found = self.read_records(stream, listed + extents, is_base)
            c.check(f"stream {stream} is defined", True, stream in live)
            if records is not None:
                c.check(f"records, bytes, checksum of stream {stream}", [count, size, checksum], [len(records), *found])
            named += parts + [address for address, _, _ in listed + extents]
            streams.append({"stream": stream, "bytes": size, "checksum": checksum,
                            "fingerprint": f"{fingerprint:016x}", "records": records})
        for _ in range(c.varint()):
            stream, kind = c.varint(), c.unpack("B")
            live[stream] = {"dropped": False, **live.get(stream, {})}
            live[stream].pop("state", None)
            if kind == 3:
                continue
            c.check("kind of state", kind & 1 or 2, kind)
            crc, size = c.unpack("I"), c.varint()
            if kind == 1:
                text = c.take(size)
            else:
                named.append(c.unpack("Q"))
                body = self.frame(named[-1], "Part").body
                c.check("kind of part, length of the state", (2, size), (body[0], len(body) - 1))
                text = body[1:]
            c.check("CRC of a state", crc, crc32(text))
            live[stream]["state"] = {"since": sequence, "text": text.decode()}
        labels = dict(c.list(lambda: (c.text(), c.text())))
        compacted = None
        if is_base:
            compacted = c.varint()
            for stream in streams:
                ages = c.list(lambda: (c.varint(), c.unpack("q")))
                c.check("records by age", len(stream["records"]), sum(count for count, _ in ages))
        c.done()
        if sequence >= shown:
            c.check("low", place(min(named)), place(low or is_base * frame.address))
        checkpoint = {"sequence": sequence, "id": u128(id), "time_us": time, "global": bool(flags & 1), "compacted_from": compacted, "labels": labels,
                      "streams": streams}
        return checkpoint, before._replace(
            sequence=sequence, id=id, commit=frame.address, time=time, records=before.records + total_records,
            bytes=before.bytes + total_bytes, lowest=min(before.lowest or low, low))

    def read(self):
        """Everything, from the first live segment on; every snapshot on the way has to agree with what stood before it."""
        checkpoints, now, seal = [], None, None
        for frame in self.walk(self.retained.first_live << 32 | BLOCK):
            if frame.kind in ("Start", "Waypoint"):
                before, snapshot, _ = read_snapshot(frame)
                if frame.kind == "Start":
                    commits, expected = {}, (frame.end, (seal.end, seal.address) if seal else before, 0)
                    frame.check("index, segment before, lowest", expected, (snapshot.index, before, snapshot.lowest))
                    now = now and now._replace(lowest=0)
                if now:
                    # Numbers are also given to streams that no commit has defined yet.
                    free = max(now.next_stream, snapshot.next_stream)
                    frame.check("snapshot", now._replace(index=snapshot.index, next_stream=free), snapshot)
                    frame.check("streams and states of the snapshot", told(live), told(self.live(snapshot.index)))
                now, live = snapshot, self.live(snapshot.index)
            elif frame.kind in ("Opened", "Recovery"):
                c = frame.cursor()
                if frame.kind == "Recovery":
                    c.unpack("qQQ"), c.varint(), c.varint(), c.varint(), c.text()
                else:
                    c.unpack("q")
                c.check("who opened the log", "a test", c.text())
                c.done()
            elif frame.kind == "Define":
                stream, entry = read_define(frame)
                live[stream] = live.get(stream, {}) | entry
                now = now._replace(next_stream=max(now.next_stream, stream + 1))
            elif frame.kind == "Commit":
                checkpoint, now = self.read_commit(frame, live, now)
                commits[now.sequence] = frame.offset
                shown = self.retained.first + bool(self.retained.base_commit)
                checkpoints += [checkpoint] if now.sequence >= shown else []
            elif frame.kind == "Seal":
                seal, c = frame, frame.cursor()
                frame.check("sequence, time, lowest", (now.sequence, now.time, now.lowest), c.unpack("QqQ"))
                for sequence, offset in c.list(lambda: c.unpack("QI")):
                    c.check(f"offset of commit {sequence}", commits.get(sequence), offset)
                c.done()
        check("mark", 0, "last sequence, checkpoint", (now.sequence, now.id), (self.mark.sequence, self.mark.id))
        if self.retained.base_commit:
            checkpoints.insert(0, self.read_base_checkpoint(live))
        streams = [live[stream] for stream in sorted(live) if stream and not live[stream]["dropped"]]
        return {"log": u128(self.mark.log), "first": self.retained.first, "checkpoints": checkpoints,
                "global": live.get(0, {}).get("state"),
                "states": [{"name": stream["define"]["name"], **stream["state"]} for stream in streams if "state" in stream],
                "streams": [stream["define"] | stream["define"]["name"] for stream in streams]}


def told(live):
    """The entries that say something: a cleared global state leaves none in a full index."""
    return {stream: entry for stream, entry in live.items() if "define" in entry or "state" in entry}


def show_hex(log):
    frame = next(frame for frame in log.walk(log.retained.first_live << 32 | BLOCK) if frame.kind == "Data")
    c = Cursor(frame.file, frame.source.data, frame.offset, frame.end & 0xFFFFFFFF)
    print(f"{frame.file}, byte {frame.offset} (address {frame.address:#018x}), salt {frame.source.salt.hex(' ')}")

    def show(what, take, shown=lambda value: ""):
        start, value, line = c.pos, take(), None
        for at in range(start, c.pos, 16):
            before, line = line, c.data[at:min(at + 16, c.pos)].hex(" ")
            if line != before:
                print(f"{at:6}  {line:47}  {what if at == start else ''}{shown(value) if at == start else ''}".rstrip())
            elif c.data[at - 32:at - 16].hex(" ") != line:
                print("     *")
        return value

    number = lambda value: f": {value}"
    for what, layout in (("kind", "B"), ("flags", "B"), ("key id", "H"), ("body length", "I"), ("epoch", "I"), ("stream", "I")):
        show(what, lambda: c.unpack(layout), number)
    show("durable", lambda: c.unpack("Q"), lambda value: f": {place(value)}")
    show("CRC of the body", lambda: c.unpack("I"))
    show("CRC of the content, the body without its first 8 bytes", lambda: c.unpack("I"))
    records = show("records", lambda: c.unpack("I"), number)
    show("CRC of salt, address, and the 36 bytes before", lambda: c.unpack("I"))
    frame.check("a first Data frame that is not compressed", None, frame.codec)
    show("body: base time", lambda: c.unpack("q"), number)
    for _ in range(records):
        show("op", lambda: c.unpack("B"), lambda value: f": {OPS[value]}")
        show("zigzag of the time difference", c.varint, lambda value: f" {value >> 1 ^ -(value & 1)}")
        sizes = [(what, show(f"length of the {what}", c.varint, number)) for what in ("key", "metadata", "payload")]
        for what, size in sizes:
            show(what, lambda: c.take(size), lambda value: f": {value.decode()}" if size <= 40 else "")
    show("zeros up to a multiple of 8", lambda: c.take(-c.pos % 8))
    show("commit marker", lambda: c.unpack("Q"))


def main():
    *option, directory = sys.argv[1:] or sys.exit(__doc__)
    try:
        if option == ["--hex"]:
            show_hex(Log(directory))
        else:
            print(json.dumps(Log(directory).read(), indent=1))
    except (Damage, OSError, KeyError, UnicodeDecodeError) as error:
        sys.exit(f"second_opinion.py: {error if isinstance(error, (Damage, OSError)) else repr(error)}")


if __name__ == "__main__":
    main()
