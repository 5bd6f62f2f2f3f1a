#!/usr/bin/env python3
"""A Singer tap in its least form: it discovers, and reads on from its state."""

import json
import sys

PAGE = 25
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "title": {"type": ["null", "string"]}}}
CATALOG = {
    "streams": [
        {
            "tap_stream_id": "books",
            "stream": "books",
            "schema": SCHEMA,
            "metadata": [{"breadcrumb": [], "metadata": {"table-key-properties": ["id"], "replication-key": "id"}}],
        }
    ]
}


def load(option):
    if option not in sys.argv:
        return None
    with open(sys.argv[sys.argv.index(option) + 1], encoding="utf-8") as file:
        return json.load(file)


def say(**message):
    print(json.dumps(message), flush=True)


def main():
    if "--discover" in sys.argv:
        print(json.dumps(CATALOG, indent=2))
        return
    rows, done = load("--config")["rows"], (load("--state") or {"books": 0})["books"]
    say(type="SCHEMA", stream="books", schema=SCHEMA, key_properties=["id"], bookmark_properties=["id"])
    while done < rows:
        for n in range(done, min(done + PAGE, rows)):
            say(type="RECORD", stream="books", record={"id": n, "title": f"The book of {n}"})
        done = min(done + PAGE, rows)
        say(type="STATE", value={"books": done})


main()
