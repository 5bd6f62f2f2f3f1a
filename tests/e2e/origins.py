"""The sources of the matrix: how each is prepared, and what it must have sent."""

import contextlib
import csv
import json

import api
import connectors
import processes

# So that a round takes some seconds, and many transactions.
DAYS = 12
USERS = 400
FILES, ROWS_PER_FILE = 8, 400
TABLE_ROWS = 12_000


class Declarative:
    """source-declarative-manifest on our loopback API."""

    name, seconds, is_program = "declarative", 4, True

    def __init__(self, server):
        pass

    @contextlib.contextmanager
    def prepare(self, folder, rng):
        self.content = api.Content(rng.random(), DAYS)
        with api.Server(self.content) as server:
            self.url = server.url
            yield self

    def toml(self):
        command = json.dumps(connectors.program("declarative"))
        manifest = json.dumps(str(processes.REPO / "tests/e2e/manifest.yaml"))
        content = self.content
        # PostgreSQL refuses some of what stream `oddities` has: that is tested elsewhere.
        return f"""[source]
type = "airbyte"
command = [{command}]
arguments = ["--manifest-path", {manifest}]
[source.config]
url = "{self.url}"
start_day = "{content.start_day}"
end_day = "{content.end_day}"
workers = {2 * (len(content.days) + 3)}
[[streams]]
name = "orders"
[[streams]]
name = "visits"
"""

    def streams(self):
        return [("orders", "id"), ("visits", "id")]

    def keys(self, stream):
        return set(self.content.by_key(stream))


class Faker:
    """The registry's faker. It can't resume, so with each attempt it sends all again."""

    name, seconds, is_program = "faker", 4, True

    def __init__(self, server):
        pass

    @contextlib.contextmanager
    def prepare(self, folder, rng):
        self.seed = rng.randrange(1, 1000)
        yield self

    def toml(self):
        return f"""[source]
type = "airbyte"
command = [{json.dumps(connectors.program("faker"))}]
[source.config]
count = {USERS}
seed = {self.seed}
parallelism = 1
records_per_slice = 100
always_updated = true
[[streams]]
name = "users"
"""

    def streams(self):
        return [("users", "id")]

    def keys(self, stream):
        return set(range(1, USERS + 1))


class Tap:
    """The registry's Singer tap for PostgreSQL, incremental by a column."""

    name, seconds, is_program = "tap-postgres", 4, True

    def __init__(self, server):
        self.server = server

    @contextlib.contextmanager
    def prepare(self, folder, rng):
        self.schema = f"tapped_{rng.randrange(10**9)}"
        self.server.query(f"CREATE SCHEMA {self.schema}")
        self.server.query(
            f"CREATE TABLE {self.schema}.items (id bigint PRIMARY KEY, n bigint NOT NULL, text text);"
            f"INSERT INTO {self.schema}.items SELECT i, i, 'row ' || i FROM generate_series(1, {TABLE_ROWS}) i"
        )
        yield self

    def _url(self):
        """With a password, which the tap insists on and the server does not ask for."""
        return self.server.url.replace("postgresql:", "postgresql+psycopg2:").replace("@", ":unused@")

    def toml(self):
        return f"""[source]
type = "singer"
command = [{json.dumps(connectors.program("tap-postgres"))}]
[source.config]
sqlalchemy_url = "{self._url()}"
filter_schemas = ["{self.schema}"]
[[streams]]
name = "{self.schema}-items"
sync_mode = "incremental"
cursor = ["n"]
"""

    def streams(self):
        return [(f"{self.schema}-items", "id")]

    def keys(self, stream):
        return set(range(1, TABLE_ROWS + 1))


class Files:
    """Our file source, on CSV."""

    name, seconds, is_program = "files", 0.2, False

    def __init__(self, server):
        pass

    @contextlib.contextmanager
    def prepare(self, folder, rng):
        self.folder = folder / "in"
        self.folder.mkdir()
        for number in range(FILES):
            with open(self.folder / f"{number:03}.csv", "w", newline="") as file:
                rows = [(f"{number}-{row}", rng.choice(["plain", "ü", 'a "b"', "c, d"])) for row in range(ROWS_PER_FILE)]
                csv.writer(file).writerows([("id", "text"), *rows])
        yield self

    def toml(self):
        return """[source]
type = "files"
path = "in"
format = "csv"
stream = "items"
primary_key = ["id"]
"""

    def streams(self):
        return [("items", "id")]

    def keys(self, stream):
        return {f"{number}-{row}" for number in range(FILES) for row in range(ROWS_PER_FILE)}


ORIGINS = {origin.name: origin for origin in (Declarative, Faker, Tap, Files)}
