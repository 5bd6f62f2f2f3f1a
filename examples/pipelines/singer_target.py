#!/usr/bin/env python3
"""A Singer target in its least form: a file of JSON lines for each stream, and each state again when what came before it is there."""

import json
import os
import sys


def main():
    with open(sys.argv[sys.argv.index("--config") + 1], encoding="utf-8") as file:
        folder = json.load(file)["path"]
    os.makedirs(folder, exist_ok=True)
    files = {}
    for message in map(json.loads, sys.stdin):
        if message["type"] == "SCHEMA":
            name = message["stream"]
            files.setdefault(name, open(os.path.join(folder, name + ".jsonl"), "a", encoding="utf-8"))
        elif message["type"] == "RECORD":
            files[message["stream"]].write(json.dumps(message["record"]) + "\n")
        elif message["type"] == "STATE":
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
            print(json.dumps(message["value"]), flush=True)


main()
