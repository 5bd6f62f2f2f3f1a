#!/usr/bin/env python3
"""A small Airbyte source for tests. Its configuration says what it does:

streams    {name: number of records}, sent page by page in turns, each page with a STATE that says how far the stream is
page       records in a page
pause_ms   after each page
fail_after so many pages in one process, then an ERROR trace and exit code 1
kind       of that error: transient_error, config_error, system_error
global     one GLOBAL state instead of STREAM states
quotes     can't discover, and says so with its password
silent     says nothing after the first page
child      starts a process that ignores the request to end; its number goes to this file
rotate     sends a CONTROL message with this token
columns    {name: JSON schema} of columns beside `id`, instead of the usual ones; records stay as they are
off        each STATE says that so many more records came before it than did; without it a STATE counts none
script     lines of this file are sent as they are instead of all that, with NOW+N in them as milliseconds, and the exit code is `exit`
keyless    names of the streams that have no key
bad        numbers of the records whose column `day`, which only then is there, is not one
"""

import json
import os
import re
import subprocess
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


def described(config, name):
    properties = {"id": {"type": "integer"}, "email": {"type": "string"}, "card": {"type": "string"}}
    if "columns" in config:
        properties = {"id": {"type": "integer"}, **config["columns"]}
    if "bad" in config:
        properties["day"] = {"type": "string", "format": "date"}
    return {
        "name": name,
        "json_schema": {"type": "object", "properties": properties},
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_primary_key": [] if name in config.get("keyless", []) else [["id"]],
    }


def starts(state):
    """Where each stream goes on."""
    found = {}
    for one in state or []:
        if one["type"] == "GLOBAL":
            found.update(one["global"]["shared_state"])
        else:
            found[one["stream"]["stream_descriptor"]["name"]] = one["stream"]["stream_state"]["n"]
    return found


def state(config, name, done):
    if config.get("global"):
        return {"type": "GLOBAL", "global": {"shared_state": done, "stream_states": []}}
    return {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": {"n": done[name]}}}


def trace_status(name, status):
    stream_status = {"stream_descriptor": {"name": name}, "status": status}
    say({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": stream_status}})


def fail(config, message="the source broke"):
    error = {"message": message, "failure_type": config.get("kind", "transient_error")}
    say({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": error}})
    sys.exit(1)


def page(config, name, done, last):
    first = done[name]
    for n in range(done[name], min(done[name] + config["page"], last)):
        data = {"id": n, "email": f"user{n}@example.com", "card": f"4111-{n}"}
        if "bad" in config:
            data["day"] = "2024-02-31" if n in config["bad"] else "2024-02-29"
        say({"type": "RECORD", "record": {"stream": name, "data": data, "emitted_at": 1700000000000 + n}})
    done[name] = min(done[name] + config["page"], last)
    message = state(config, name, done)
    if "off" in config:
        message["sourceStats"] = {"recordCount": float(done[name] - first + config["off"])}
    say({"type": "STATE", "state": message})
    time.sleep(config.get("pause_ms", 0) / 1000)


def begin(config):
    sys.stderr.write(f"reading with password {config.get('password')}\n")
    if "child" in config:
        child = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 600"])
        with open(config["child"], "w", encoding="utf-8") as file:
            file.write(str(child.pid))
    if "rotate" in config:
        control = {"type": "CONNECTOR_CONFIG", "connectorConfig": {"config": {**config, "password": config["rotate"]}}}
        say({"type": "CONTROL", "control": control})


def play(config):
    """Byte for byte: what a source sends need not be JSON."""
    with open(config["script"], "rb") as file:
        text = re.sub(rb"NOW\+(\d+)", lambda found: b"%d" % (time.time() * 1000 + int(found[1])), file.read())
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
    sys.exit(config.get("exit", 0))


def read(config, catalog, given):
    begin(config)
    if "script" in config:
        play(config)
    names = [one["stream"]["name"] for one in catalog["streams"]]
    kept = starts(given)
    done = {name: kept.get(name, 0) for name in names}
    pages = 0
    while any(done[name] < config["streams"][name] for name in names):
        for name in names:
            if done[name] >= config["streams"][name]:
                continue
            page(config, name, done, config["streams"][name])
            pages += 1
            if config.get("silent"):
                time.sleep(600)
            if pages == config.get("fail_after"):
                fail(config)
    for name in names:
        trace_status(name, "COMPLETE")


def main():
    command = sys.argv[1]
    if command == "spec":
        say({"type": "SPEC", "spec": {"connectionSpecification": {}}})
        return
    config = load(option("--config"))
    if command == "check":
        status = "FAILED" if config.get("password") == "wrong" else "SUCCEEDED"
        message = "password is wrong" if status == "FAILED" else None
        say({"type": "CONNECTION_STATUS", "connectionStatus": {"status": status, "message": message}})
    elif command == "discover" and config.get("quotes"):
        fail(config, f"nobody has the password {config['password']}")
    elif command == "discover":
        say({"type": "CATALOG", "catalog": {"streams": [described(config, name) for name in config["streams"]]}})
    elif command == "read":
        given = option("--state")
        read(config, load(option("--catalog")), load(given) if given else None)
    if os.environ.get("SOURCE_GARBAGE"):
        sys.stdout.write("Traceback of a dying worker\n")


main()
