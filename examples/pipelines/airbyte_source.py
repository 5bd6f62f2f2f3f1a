#!/usr/bin/env python3
"""A source for the Airbyte protocol, in its least form: `spec`, `check`, `discover`, and `read` that goes on from its state."""

import json
import sys

PAGE = 50
SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "email": {"type": "string"}, "card": {"type": "string"}},
}
PEOPLE = {
    "name": "people",
    "json_schema": SCHEMA,
    "supported_sync_modes": ["full_refresh", "incremental"],
    "source_defined_cursor": True,
    "default_cursor_field": ["id"],
    "source_defined_primary_key": [["id"]],
}


def say(kind, **content):
    print(json.dumps({"type": kind, **content}), flush=True)


def load(option):
    if option not in sys.argv:
        return None
    with open(sys.argv[sys.argv.index(option) + 1], encoding="utf-8") as file:
        return json.load(file)


def state(done):
    stream = {"stream_descriptor": {"name": "people"}, "stream_state": {"id": done}}
    return {"type": "STREAM", "stream": stream}


def read(rows, given):
    done = given[0]["stream"]["stream_state"]["id"] if given else 0
    while done < rows:
        for n in range(done, min(done + PAGE, rows)):
            data = {"id": n, "email": f"person{n}@example.com", "card": f"4111-{n:04}"}
            say("RECORD", record={"stream": "people", "data": data, "emitted_at": 1700000000000 + n})
        done = min(done + PAGE, rows)
        say("STATE", state=state(done))
    status = {"stream_descriptor": {"name": "people"}, "status": "COMPLETE"}
    say("TRACE", trace={"type": "STREAM_STATUS", "emitted_at": 0, "stream_status": status})


def main():
    command = sys.argv[1]
    if command == "spec":
        say("SPEC", spec={"connectionSpecification": {"properties": {"rows": {"type": "integer"}}}})
    elif command == "check":
        say("CONNECTION_STATUS", connectionStatus={"status": "SUCCEEDED"})
    elif command == "discover":
        say("CATALOG", catalog={"streams": [PEOPLE]})
    elif command == "read":
        read(load("--config")["rows"], load("--state"))


main()
