"""A destination on the Airbyte CDK: rows into a table of SQLite, at each state what came before it. Its configuration is {"path": FILE}."""

import json
import sqlite3
import sys

from airbyte_cdk.destinations import Destination
from airbyte_cdk.models import AirbyteConnectionStatus, ConnectorSpecification, DestinationSyncMode, Status, Type


class SqliteDestination(Destination):
    def spec(self, *_):
        return ConnectorSpecification(
            connectionSpecification={"type": "object", "properties": {"path": {"type": "string"}}},
            supported_destination_sync_modes=[DestinationSyncMode.append],
        )

    def check(self, logger, config):
        return AirbyteConnectionStatus(status=Status.SUCCEEDED)

    def write(self, config, configured_catalog, input_messages):
        with sqlite3.connect(config["path"]) as base:
            base.execute("CREATE TABLE IF NOT EXISTS held (stream TEXT, data TEXT)")
            base.commit()
            for message in input_messages:
                if message.type == Type.RECORD:
                    row = (message.record.stream, json.dumps(message.record.data))
                    base.execute("INSERT INTO held VALUES (?, ?)", row)
                elif message.type == Type.STATE:
                    base.commit()
                    yield message


if __name__ == "__main__":
    SqliteDestination().run(sys.argv[1:])
