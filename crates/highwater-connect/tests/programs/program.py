"""A small destination that speaks Airbyte or Singer, and behaves as its configuration says. It needs nothing but Python.

    protocol   "airbyte" or "singer"
    path       records are appended to PATH.jsonl, and what else it was told to PATH.told
    echo       when states come back: "each", "end", "last" (the newest only), "reverse", "bare" (without the envelope), "never"
    stats      each state says that it refused so many
    chatter    so many bytes are written to standard output before each record is looked at
    die_after  records; then it dies, having written none of what it was told since the last state that it gave back
    leave_after records; then it ends well, although more comes
    hang_after records; then it reads no more
    error      at the end it says that, and ends with 1
    refuse     a configuration that it can't work with
"""

import json
import os
import sys
import time


class Program:
    def __init__(self, config, airbyte):
        self.config, self.airbyte = config, airbyte
        self.held, self.states, self.count = [], [], 0

    def told(self, what):
        with open(self.config["path"] + ".told", "a") as file:
            file.write(json.dumps(what) + "\n")

    def say(self, message):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def run(self):
        while line := sys.stdin.readline():
            self.take(json.loads(line))
        self.save()
        self.end()

    def take(self, message):
        kind = message["type"]
        if kind == "RECORD":
            self.record(message["record"] if self.airbyte else {"stream": message["stream"], "data": message["record"]} | message)
        elif kind == "STATE":
            self.states.append(message)
            if self.config.get("echo", "each") in ("each", "bare"):
                self.save()
                self.echo([self.states.pop()])
        else:
            self.told(message)

    def record(self, record):
        if self.count == self.config.get("die_after"):
            os._exit(1)
        if self.count == self.config.get("leave_after"):
            os._exit(0)
        if self.count == self.config.get("hang_after"):
            time.sleep(3600)
        if chatter := self.config.get("chatter"):
            self.say({"type": "LOG", "log": {"level": "INFO", "message": "x" * chatter}})
        self.count += 1
        self.held.append({key: record[key] for key in ("stream", "namespace", "data", "version") if key in record})

    def save(self):
        with open(self.config["path"] + ".jsonl", "a") as file:
            file.writelines(json.dumps(record) + "\n" for record in self.held)
        self.held = []

    def echo(self, states):
        for state in states:
            bare = self.config.get("echo") == "bare" or not self.airbyte
            if "stats" in self.config:
                state["state"]["destinationStats"] = {"recordCount": 9.0, "rejectedRecordCount": float(self.config["stats"])}
            self.say((state["state"] if self.airbyte else state["value"]) if bare else state)

    def end(self):
        self.told({"end": self.count})
        echo = self.config.get("echo", "each")
        states = {"end": self.states, "last": self.states[-1:], "reverse": self.states[::-1]}.get(echo, [])
        self.echo(states)
        if error := self.config.get("error"):
            self.say({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": {"message": error, "failure_type": "config_error"}}})
            sys.exit(1)


def main():
    arguments = sys.argv[1:]
    option = {name: value for name, value in zip(arguments, arguments[1:]) if name.startswith("--")}
    if arguments[0] == "spec":
        print(json.dumps({"type": "SPEC", "spec": {"connectionSpecification": {}, "supported_destination_sync_modes": ["append", "overwrite"]}}))
        return
    config = json.load(open(option["--config"]))
    if arguments[0] == "check":
        refuse = config.get("refuse")
        status = {"status": "FAILED" if refuse else "SUCCEEDED", "message": refuse}
        print(json.dumps({"type": "CONNECTION_STATUS", "connectionStatus": status}))
        return
    program = Program(config, airbyte=arguments[0] == "write")
    if "--catalog" in option:
        program.told({"catalog": json.load(open(option["--catalog"])), "mode": oct(os.stat(option["--config"]).st_mode & 0o777)})
    program.run()


main()
