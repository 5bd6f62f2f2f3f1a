#!/usr/bin/env python3
"""A destination for the Airbyte protocol, in its least form: `spec`, `check`, and `write`, which keeps each stream in a file of JSON
lines and says a STATE again when what came before it is there."""

import json
import os
import sys

SPEC = {
    "connectionSpecification": {"properties": {"path": {"type": "string"}}},
    "supported_destination_sync_modes": ["append", "append_dedup"],
}


def say(kind, **content):
    print(json.dumps({"type": kind, **content}), flush=True)


def load(option):
    with open(sys.argv[sys.argv.index(option) + 1], encoding="utf-8") as file:
        return json.load(file)


class Table:
    """The rows of a stream, the newest of each key."""

    def __init__(self, folder, configured):
        self.path = os.path.join(folder, configured["stream"]["name"] + ".jsonl")
        self.key = [path[0] for path in configured.get("primary_key") or []]
        self.rows = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                for line in file:
                    self.put(json.loads(line))

    def put(self, row):
        key = json.dumps([row.get(column) for column in self.key]) if self.key else len(self.rows)
        self.rows[key] = row

    def save(self):
        with open(self.path + ".tmp", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in self.rows.values())
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".tmp", self.path)


def write(folder, catalog):
    os.makedirs(folder, exist_ok=True)
    tables = {one["stream"]["name"]: Table(folder, one) for one in catalog["streams"]}
    for message in map(json.loads, sys.stdin):
        if message["type"] == "RECORD":
            tables[message["record"]["stream"]].put(message["record"]["data"])
        elif message["type"] == "STATE":
            for table in tables.values():
                table.save()
            say("STATE", state=message["state"])


def main():
    command = sys.argv[1]
    if command == "spec":
        say("SPEC", spec=SPEC)
    elif command == "check":
        say("CONNECTION_STATUS", connectionStatus={"status": "SUCCEEDED"})
    elif command == "write":
        write(load("--config")["path"], load("--catalog"))


main()
