"""The programs that are tried as destinations: how each is told to the pipeline, and what it holds at the end."""

import json
import sqlite3

import connectors
import processes
import transactions

CHECKPOINT_RECORDS = 100

FILE = """
version = 1
name = "destinations"
log = "e2e.hw"

[source]
type = "files"
path = "in"
format = "csv"
stream = "items"
primary_key = ["id"]

[checkpoint]
min_interval = "0ms"
every = {{ records = {records} }}

[retry]
attempts_without_progress = 20
backoff = {{ initial = "50ms", factor = 1, max = "50ms" }}

[destinations.to]
batch = {{ max_checkpoints = 4 }}
stop_timeout = "20s"
{table}
[destinations.to.config]
{config}
"""


class Kind:
    """A destination. `held` gives the pairs (id, text) that it holds, `transactions` tells whether it is in the middle of one."""

    mode, is_exact, has_transactions = "append", False, True
    # How long it is at work, from its start.
    seconds = 4

    def __init__(self, folder, server, schema):
        self.folder, self.server, self.schema = folder, server, schema
        self.transactions = transactions.OfPostgres(server)

    def table(self):
        command = [json.dumps(str(part)) for part in self.command()]
        environment = _toml(self.environment())
        return f'type = "{self.type}"\nmode = "{self.mode}"\ncommand = [{", ".join(command)}]\nenvironment = {environment}'

    def environment(self):
        return {}

    def text(self):
        config = "\n".join(f"{key} = {_toml(value)}" for key, value in self.config().items())
        return FILE.format(records=CHECKPOINT_RECORDS, table=self.table(), config=config)


class Cdk(Kind):
    """Ours, on the Airbyte CDK."""

    type = "airbyte"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.transactions = transactions.OfSqlite()

    def command(self):
        return [connectors.venv("declarative") / "bin/python", "-B", processes.REPO / "tests/e2e/cdk_destination.py"]

    def config(self):
        return {"path": str(self.folder / "held.db")}

    def held(self):
        with sqlite3.connect(self.folder / "held.db") as base:
            rows = [json.loads(data) for (data,) in base.execute("SELECT data FROM held")]
        return [(row["id"], row["text"]) for row in rows]


class Pgvector(Kind):
    """The registry's destination for vectors, which are made up."""

    type = "airbyte"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.server.query("CREATE EXTENSION IF NOT EXISTS vector")

    def environment(self):
        return {"TIKTOKEN_CACHE_DIR": connectors.tokenizer()}

    def command(self):
        return [connectors.program("pgvector")]

    def config(self):
        login = {"host": "127.0.0.1", "port": self.server.port, "database": "postgres", "default_schema": self.schema}
        return {
            "embedding": {"mode": "fake"},
            "processing": {"text_fields": ["text"], "metadata_fields": ["id"], "chunk_size": 500, "chunk_overlap": 0},
            "indexing": login | {"username": self.server.USER, "credentials": {"password": "unused"}},
            "omit_raw_text": False,
        }

    def held(self):
        columns = "metadata->>'id', replace(document_content, E'\\n', ' ')"
        rows = self.server.query(f"SELECT {columns} FROM {self.schema}.items")
        return [(key, content.removeprefix("text: ")) for key, content in rows]


class TargetJsonl(Kind):
    type, has_transactions, seconds = "singer", False, 0.8

    def command(self):
        return [connectors.program("target-jsonl")]

    def config(self):
        (self.folder / "out").mkdir(exist_ok=True)
        return {"destination_path": str(self.folder / "out"), "do_timestamp_file": False}

    def held(self):
        lines = [line for file in (self.folder / "out").glob("*.jsonl") for line in file.read_text().splitlines()]
        rows = [json.loads(line) for line in lines if line]
        return [(row["id"], row["text"]) for row in rows]


class TargetPostgres(Kind):
    type, mode, is_exact = "singer", "upsert", True

    def command(self):
        return [connectors.program("target-postgres")]

    def config(self):
        return {"sqlalchemy_url": self.server.url.replace("postgresql:", "postgresql+psycopg:"), "default_target_schema": self.schema}

    def held(self):
        return [tuple(row) for row in self.server.query(f"SELECT id, text FROM {self.schema}.items")]


KINDS = {"cdk": Cdk, "pgvector": Pgvector, "target-jsonl": TargetJsonl, "target-postgres": TargetPostgres}


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)
