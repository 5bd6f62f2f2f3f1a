#!/usr/bin/env python3
"""A small Singer tap for tests: streams with so many records each, a STATE after each page. It reads inclusively, as taps do:
the record that the bookmark names comes again. With `script` it sends the lines of that file instead."""

import json
import sys
import time


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def option(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "email": {"type": "string"}}}


def discover(config):
    def stream(name):
        metadata = [{"breadcrumb": [], "metadata": {"table-key-properties": ["id"]}}]
        return {"tap_stream_id": name, "stream": name, "schema": SCHEMA, "metadata": metadata}

    print(json.dumps({"streams": [stream(name) for name in config["streams"]]}, indent=2))


def is_selected(stream):
    return any(one["breadcrumb"] == [] and one["metadata"].get("selected") for one in stream["metadata"])


def read(config, catalog, state):
    if "script" in config:
        with open(config["script"], "rb") as file:
            sys.stdout.buffer.write(file.read())
        return
    bookmarks = dict((state or {}).get("bookmarks", {}))
    say({"type": "STATE", "value": {}})
    for stream in filter(is_selected, catalog["streams"]):
        name = stream["stream"]
        say({"type": "SCHEMA", "stream": name, "schema": SCHEMA, "key_properties": ["id"], "bookmark_properties": ["id"]})
        n, pages = bookmarks.get(name, 0), 0
        while n < config["streams"][name]:
            last = min(n + config["page"], config["streams"][name])
            for number in range(n, last):
                record = {"id": number, "email": f"user{number}@example.com"}
                say({"type": "RECORD", "stream": name, "record": record, "time_extracted": "2024-01-01T00:00:00Z"})
            n = last
            bookmarks[name] = n - 1 if config.get("inclusive") else n
            say({"type": "STATE", "value": {"bookmarks": bookmarks}})
            time.sleep(config.get("pause_ms", 0) / 1000)
            pages += 1
            if pages == config.get("fail_after"):
                sys.exit("the tap broke")
        say({"type": "ACTIVATE_VERSION", "stream": name, "version": 1})


def main():
    config = load(option("--config"))
    if "--discover" in sys.argv:
        discover(config)
    else:
        given = option("--state")
        read(config, load(option("--catalog")), load(given) if given else None)


main()
