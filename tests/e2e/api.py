"""The loopback HTTP API that the resume test reads: deterministic, paged, by day.

    GET /orders?day=2024-01-05&page=2  ->  {"items": [...], "next_page": 3 or null}

The content is a function of (seed, stream, day) alone, so that the test knows what must be in
the log without asking the API, and every attempt that reads a day again gets the same rows.

The source hands its slices to its workers first in, first out, so by itself it reads one stream
after another. It is therefore given a worker per slice, and this API does what real ones do: each
endpoint answers only a few requests at a time, earliest day first, and takes a few random milliseconds
for each. So the streams advance together, their records and states interleave, and the cursors do not lag far.
"""

import contextlib
import datetime
import hashlib
import heapq
import http.server
import json
import random
import threading
import time
import urllib.parse

FIRST_DAY = datetime.date(2024, 1, 1)
PAGE_SIZE = 4
PAUSE_SECONDS_MAX = 0.04
ANSWERS_AT_ONCE = 2  # per endpoint; more than one, so that days of a stream finish out of order as well

# Whole and fractional numbers, strings and structures that are lost or changed by anything that parses a
# record and writes it anew. 2^64-1 is the largest integer that the source itself passes on exactly.
BIG_INTEGERS = [2**64 - 1, 2**63, 2**63 - 1, -(2**63), 2**53 + 1, 9007199254740993, 0, -1]
FLOATS = [1.0, 100.0, -0.0, 0.1, 1e-7, 1.5e300, 123456789.125, 5e-324]
TEXTS = [
    "", " ", "plain", "naïve café", "Straße", "漢字かな交じり文", "العربية", "👩‍🚀 e\u0301 é",
    'quote " and backslash \\', "line\nbreak\ttab\r", "nul \u0000 and \u001f", "\u2028 \u2029",
    "</script>", "{\"type\":\"STATE\"}", "\U0010ffff", "\u007f\u0080\ufeff",
]


def _rng(seed, *parts):
    """A generator of its own for each part; not hash(), which differs between processes."""
    text = "/".join([str(seed), *map(str, parts)])
    return random.Random(hashlib.sha256(text.encode()).digest())


def _order(rng, key, day):
    return {
        "id": key, "day": day, "customer": f"c{rng.randrange(500)}",
        "amount": rng.randrange(1, 10**6) / 100, "currency": rng.choice(["EUR", "CHF", "JPY"]),
    }


def _visit(rng, key, day):
    return {
        "id": key, "day": day, "page": f"/p/{rng.randrange(40)}", "ms": rng.randrange(1, 4000),
        "agent": "Mozilla/5.0 " + "x" * rng.randrange(0, 200),
    }


def _oddity(rng, key, day):
    def nested(depth):
        if depth == 0:
            return rng.choice([None, True, False, [], {}, rng.choice(BIG_INTEGERS), rng.choice(TEXTS)])
        if rng.random() < 0.5:
            return [nested(depth - 1) for _ in range(rng.randrange(3))]
        return {rng.choice(["a", "", "b c", "ключ", "type", "data"]): nested(depth - 1) for _ in range(2)}

    return {
        "id": key, "day": day, "text": rng.choice(TEXTS), "big": rng.choice(BIG_INTEGERS),
        "float": rng.choice(FLOATS), "floats": rng.sample(FLOATS, 3), "nothing": None,
        "nested": {"maybe": None, "deep": nested(rng.randrange(5))},
        # Fields named like the protocol's own: a search for `"data":` in the line would find these.
        "data": {"emitted_at": 1, "data": rng.choice(TEXTS)}, "emitted_at": rng.randrange(10),
    }


STREAMS = {"orders": _order, "visits": _visit, "oddities": _oddity}


class Content:
    """What the API holds; also asked directly by the test."""

    def __init__(self, seed, day_count):
        self.seed = seed
        days = [(FIRST_DAY + datetime.timedelta(days=n)).isoformat() for n in range(-1, day_count + 1)]
        # The source starts a day early, on an empty day: the CDK takes its start day for read from the beginning, so
        # its first state may overtake records of that day, and a kill in between would lose them, in the source.
        # And it does not read its end day any more.
        self.start_day, *self.days, self.end_day = days

    def rows(self, stream, day):
        if day not in self.days:
            return []
        rng = _rng(self.seed, stream, day)
        return [STREAMS[stream](rng, f"{day}-{n:03}", day) for n in range(rng.randrange(10, 26))]

    def by_key(self, stream):
        return {row["id"]: row for day in self.days for row in self.rows(stream, day)}


class _Counter:
    """Where the requests of one endpoint queue, earliest day first."""

    def __init__(self):
        self._changed = threading.Condition()
        self._waiting = []
        self._free = ANSWERS_AT_ONCE

    @contextlib.contextmanager
    def turn(self, day):
        ticket = (day, threading.get_ident())
        with self._changed:
            heapq.heappush(self._waiting, ticket)
            self._changed.wait_for(lambda: self._free and self._waiting[0] == ticket)
            heapq.heappop(self._waiting)
            self._free -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection per worker of the source, not one per page
    timeout = 60
    wbufsize = -1  # headers and body leave as one packet
    disable_nagle_algorithm = True

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        stream, page = url.path.strip("/"), int(query.get("page", 1))
        if stream not in STREAMS or "day" not in query:
            self.send_error(404)
            return
        with self.server.counters[stream].turn(query["day"]):
            time.sleep(random.uniform(0, PAUSE_SECONDS_MAX))
        rows = self.server.content.rows(stream, query["day"])
        start = (page - 1) * PAGE_SIZE
        more = start + PAGE_SIZE < len(rows)
        answer = {"items": rows[start : start + PAGE_SIZE], "next_page": page + 1 if more else None}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """One per attempt, so that what a killed source still had asked for is not in the next one's way."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.counters = {stream: _Counter() for stream in STREAMS}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # a source that was killed in the middle of an answer is what this test is about

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
