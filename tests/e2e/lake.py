"""Parquet in both directions, with DuckDB on the other side: what it reads of what we wrote under kills, and what we read of what it wrote."""

import argparse
import json
import random
import signal
import subprocess
import sys
import time

import cli
import connectors
import processes
from processes import Violation

FILES, ROWS_PER_FILE = 10, 500
RUN_SECONDS_MAX = 60
SOURCE_FAILED = 9

WRITING = """
version = 1
name = "lake"
log = "e2e.hw"
[source]
type = "files"
path = "in"
format = "csv"
stream = "items"
[checkpoint]
min_interval = "0ms"
every = { records = 100 }
"""

DESTINATION = """
[destinations.CODEC]
type = "parquet"
path = "CODEC"
compression = "CODEC"
batch = { max_checkpoints = 3 }
"""

WRITTEN = ("snappy", "zstd", "gzip", "none")
READ = ("snappy", "zstd", "gzip", "lz4_raw", "uncompressed")
UNREADABLE = "brotli"

READING = """
version = 1
name = "reading"
log = "read.hw"
[source]
type = "files"
path = "made"
format = "parquet"
stream = "items"
[destinations.back]
type = "jsonl"
path = "back"
[retry]
attempts_without_progress = 1
"""

# One row of each kind that a column can have, and nulls.
MAKE = """
COPY (SELECT i::BIGINT AS id, i % 2 = 0 AS flag, i / 8 AS x, (i * 1.25)::DECIMAL(12, 2) AS price,
             DATE '2024-02-28' + i::INT AS day, TIMESTAMP '2024-01-01 00:00:00.5' + INTERVAL (i) SECOND AS moment,
             '2024-01-01 12:00:00.25+00'::TIMESTAMPTZ AS world, TIMESTAMP_NS '2024-01-01 12:00:00.123456789' AS exact,
             UUID '00010203-0405-0607-0809-0a0b0c0d0e0f' AS uuid,
             CASE WHEN i % 3 > 0 THEN 'tëxt "' || i END AS text, [i, NULL] AS list, {'a': i, 'b': 'x'} AS struct
      FROM range(1000) t(i)) TO 'FILE' (FORMAT parquet, ROW_GROUP_SIZE 300, COMPRESSION CODEC)
"""


def duckdb(folder, sql):
    """The rows, as lists of what JSON can hold."""
    program = "import duckdb, json, sys; print(json.dumps(duckdb.sql(sys.stdin.read()).fetchall(), default=str))"
    if not sql.lstrip().startswith("SELECT"):
        program = "import duckdb, sys; duckdb.sql(sys.stdin.read())"
    python = connectors.venv("duckdb") / "bin/python"
    done = subprocess.run([python, "-c", program], input=sql, text=True, capture_output=True, cwd=folder, check=False, timeout=60)
    if done.returncode:
        raise Violation(f"DuckDB refuses: {done.stderr[-500:]}")
    return json.loads(done.stdout or "null")


def start(folder, file):
    line = [processes.highwater(), "run", str(folder / file)]
    return processes.Child("run", line, folder / "run.stderr", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def finish(folder, file):
    run = start(folder, file)
    if (code := run.wait(RUN_SECONDS_MAX)) != 0:
        raise Violation(f"the run ended with {code}\n{run.tail()}")


def write_under_kills(folder, rng, kills):
    (folder / "in").mkdir()
    for number in range(FILES):
        rows = "".join(f'{number}-{row},"a ""{rng.random()}"""\n' for row in range(ROWS_PER_FILE))
        (folder / f"in/{number:03}.csv").write_text("id,text\n" + rows)
    (folder / "pipeline.toml").write_text(WRITING + "".join(DESTINATION.replace("CODEC", codec) for codec in WRITTEN))
    made = 0
    while made < kills:
        run = start(folder, "pipeline.toml")
        time.sleep(rng.uniform(0.02, 0.25))
        made += not run.ended()
        run.kill()
        if run.wait(20) not in (0, -signal.SIGKILL):
            raise Violation(f"the run ended by itself\n{run.tail()}")
    finish(folder, "pipeline.toml")
    log = [json.loads(record.data) for record in cli.cat(folder / "e2e.hw")[(None, "items")]]
    if not len({row["id"] for row in log}) == FILES * ROWS_PER_FILE == len(log):
        raise Violation("rows are missing, or there twice")
    for codec in WRITTEN:
        check_written(folder, codec, [[row["id"], row["text"]] for row in log])
    return made, len(log), len(list((folder / "zstd/items").glob("*.parquet")))


def check_written(folder, codec, expected):
    files = f"'{codec}/items/*.parquet'"
    rows = duckdb(folder, f"SELECT id, text FROM {files} ORDER BY _highwater_checkpoint, _highwater_row")
    if rows != expected:
        raise Violation(f"{codec}: DuckDB reads {len(rows)} rows, the log has {len(expected)}, and they differ")
    named = {row[0].lower() for row in duckdb(folder, f"SELECT DISTINCT compression FROM parquet_metadata({files})")}
    if named != {"uncompressed" if codec == "none" else codec}:
        raise Violation(f"{codec}: the files say that they are {named}")


def read_back(folder):
    (folder / "made").mkdir()
    for number, codec in enumerate(READ):
        make(folder / f"made/{number:03}.parquet", codec)
    (folder / "reading.toml").write_text(READING)
    finish(folder, "reading.toml")
    lines = [line for file in sorted((folder / "back").glob("*.jsonl")) for line in file.read_text().splitlines()]
    for n, line in enumerate(lines):
        row, i = json.loads(line)["data"], n % 1000
        expected = {"id": i, "flag": i % 2 == 0, "x": i / 8, "price": i * 1.25, "list": [i, None], "struct": {"a": i, "b": "x"}}
        expected["text"] = f'tëxt "{i}' if i % 3 else None
        # What a clock showed has no zone; one of the world's moments has.
        expected["moment"] = f"2024-01-01T00:{i // 60:02}:{i % 60:02}.5"
        expected |= {"world": "2024-01-01T12:00:00.25Z", "exact": "2024-01-01T12:00:00.123456789"}
        expected["uuid"] = "00010203-0405-0607-0809-0a0b0c0d0e0f"
        found = {name: row[name] for name in expected}
        if found != expected:
            raise Violation(f"row {i} is {row}, expected {expected}")
        if i == 1 and row["day"] != "2024-02-29":
            raise Violation(f"day {row['day']}")
    if len(lines) != 1000 * len(READ):
        raise Violation(f"{len(lines)} rows of {1000 * len(READ)}")
    return len(lines)


def make(file, codec):
    duckdb(file.parent, MAKE.replace("FILE", str(file)).replace("CODEC", codec))


def refuse(folder):
    """What can't be read is named, and nothing of it taken."""
    make(folder / "made/999.parquet", UNREADABLE)
    run = start(folder, "reading.toml")
    if run.wait(RUN_SECONDS_MAX) != SOURCE_FAILED or UNREADABLE.upper() not in run.tail():
        raise Violation(f"a codec that can't be read is not named\n{run.tail()}")


def main(arguments):
    parser = argparse.ArgumentParser(prog="lake", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="default: a random one, printed")
    options = parser.parse_args(arguments)
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"lake: seed {seed}", flush=True)
    with processes.scratch("lake", 300) as folder:
        kills, rows, files = write_under_kills(folder, random.Random(seed), options.kills)
        back = read_back(folder)
        refuse(folder)
        processes.table([("kills", kills), ("rows that DuckDB reads, in files", f"{rows}, {files}"), ("rows that it wrote", back)])


if __name__ == "__main__":
    sys.exit(processes.report("lake", main, sys.argv[1:]))
