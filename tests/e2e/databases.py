"""The databases of the matrix, and what they hold."""

import contextlib
import datetime
import json
import sqlite3

import transactions
from processes import Violation

OURS = "_highwater_"
EXTRA = OURS + "extra"


class Sqlite:
    name = "sqlite"

    def __init__(self, server):
        self.transactions = transactions.OfSqlite()

    @contextlib.contextmanager
    def open(self, folder, _):
        self.files = {name: folder / f"{name}.db" for name in ("log", "state")}
        yield self

    def table(self, name):
        return f'type = "sqlite"\npath = "{name}.db"'

    def rows(self, name, stream):
        order = f"{OURS}checkpoint, {OURS}row"
        with sqlite3.connect(self.files[name]) as base:
            base.row_factory = sqlite3.Row
            return [_plain(dict(row)) for row in base.execute(f'SELECT * FROM "{stream}" ORDER BY {order}')]


class Postgres:
    name = "postgres"

    def __init__(self, server):
        self.server = server
        self.transactions = transactions.OfPostgres(server)

    @contextlib.contextmanager
    def open(self, _, name):
        self.schema = name.replace("-", "_")
        yield self

    def table(self, name):
        return f'type = "postgres"\nurl = "{self.server.url}"\nschema = "{self.schema}_{name}"'

    def rows(self, name, stream):
        order = f"{OURS}checkpoint, {OURS}row"
        rows = self.server.query(f'SELECT to_jsonb(t) FROM "{self.schema}_{name}"."{stream}" t ORDER BY {order}')
        return [_plain(json.loads(row)) for (row,) in rows]


DATABASES = {database.name: database for database in (Sqlite, Postgres)}


def row(text):
    """A record's row, without nulls: a column that is null and one that is absent are the same in a table."""
    return {name: value for name, value in json.loads(text).items() if value is not None}


def _plain(columns):
    """The row that a table's row came from."""
    extra = columns.get(EXTRA)
    extra = json.loads(extra) if isinstance(extra, str) else extra or {}
    kept = {name: value for name, value in columns.items() if not name.startswith(OURS) and value is not None}
    return kept | {name: value for name, value in extra.items() if value is not None}


def compare(what, expected, found):
    if len(expected) != len(found):
        raise Violation(f"{what}: {len(found)} rows, in the log {len(expected)}")
    for n, (one, other) in enumerate(zip(expected, found)):
        if one.keys() != other.keys() or not all(_same(one[name], other[name]) for name in one):
            raise Violation(f"{what}: row {n} is {other}, in the log {one}")


def _same(one, other):
    """The same value, perhaps of another type: databases have no booleans, or times of their own form."""
    if isinstance(one, (dict, list)) and isinstance(other, str):
        other = json.loads(other)
    return one == other or (isinstance(one, str) and isinstance(other, str) and _moment(one) == _moment(other) is not None)


def _moment(text):
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
