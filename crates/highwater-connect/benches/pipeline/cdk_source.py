#!/usr/bin/env python3
"""A source on the Airbyte CDK that does nothing but emit records of 1 KiB; tells on standard error how many seconds it took from the
first to the last. Its standard output goes to /dev/null: what it could do if nobody held it up."""

import json
import os
import sys
import tempfile
import time

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream

TEXT = "The quick brown fox jumps over the lazy dog. " * 21
COUNT = int(sys.argv[1])
TIMES = []


class Rows(Stream):
    name = "s"
    primary_key = "id"

    def get_json_schema(self):
        return {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}}}

    def read_records(self, *args, **kwargs):
        TIMES.append(time.monotonic())
        for n in range(COUNT):
            yield {"id": n, "text": TEXT}
        TIMES.append(time.monotonic())


class Source(AbstractSource):
    def check_connection(self, logger, config):
        return True, None

    def streams(self, config):
        return [Rows()]

    def spec(self, logger):
        from airbyte_cdk.models import ConnectorSpecification

        return ConnectorSpecification(connectionSpecification={})


def main():
    stream = {"name": "s", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    configured = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
    with tempfile.TemporaryDirectory() as folder:
        config, catalog = os.path.join(folder, "config.json"), os.path.join(folder, "catalog.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({}, file)
        with open(catalog, "w", encoding="utf-8") as file:
            json.dump({"streams": [configured]}, file)
        told = sys.stderr
        sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        launch(Source(), ["read", "--config", config, "--catalog", catalog])
    told.write(f"seconds {TIMES[1] - TIMES[0]}\n")


main()
