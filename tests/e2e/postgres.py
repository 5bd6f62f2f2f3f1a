"""A PostgreSQL server of our own on loopback, with its data in a scratch folder: the one of the Python package pgserver, which has pgvector."""

import os
import pwd
import signal
import socket
import subprocess
import time

import connectors
import processes
from processes import Violation

START_SECONDS_MAX = 60
SEPARATOR = "\x1f"
# Rows for a new table of some schemas make the server wait, after them and before it answers: a transaction of one short statement
# lasts long enough to be met. What comes of it when its client dies is the same. Not for clients that insert row by row.
SLOW_INSERTS = """
CREATE FUNCTION wait_a_little() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END';
CREATE FUNCTION make_slow() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
    FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' AND schema_name LIKE '{schemas}' LOOP
        EXECUTE format('CREATE TRIGGER slow AFTER INSERT ON %s EXECUTE FUNCTION wait_a_little()', made.object_identity);
    END LOOP;
END $$;
CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION make_slow();
"""


def binaries():
    """The folder of initdb, postgres and psql."""
    venv = connectors.venv("pgserver")
    found = sorted(venv.glob("lib/python*/site-packages/pgserver/pginstall/bin"))
    if not found:
        raise Violation(f"no PostgreSQL below {venv}")
    return found[0]


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _user():
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class Server:
    """Running from `with` on. Commits do not wait for the disk: what a killed client loses is not what this tests."""

    USER = "highwater"

    def __init__(self, folder):
        self.folder, self.port, self.bin = folder, _free_port(), binaries()
        self._process = None

    def __enter__(self):
        self.folder.mkdir()
        options = _user()
        if options:
            os.chown(self.folder, options["user"], options["group"])
            # The scratch folder above is private.
            self.folder.parent.chmod(0o711)
        environment = os.environ | {"HOME": str(self.folder)}
        data = self.folder / "data"
        init = [self.bin / "initdb", "-D", data, "-U", self.USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(init, check=True, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, **options)
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder,
            "synchronous_commit": "off", "max_connections": 50,
        }
        line = [self.bin / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
        log = self.folder.parent / "postgres.log"
        self._process = processes.Child(
            "postgres", line, log, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options
        )
        self._await()
        return self

    def _await(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while subprocess.run(self._psql("SELECT 1"), capture_output=True, check=False).returncode != 0:
            if self._process.ended() or time.monotonic() > deadline:
                raise Violation(f"PostgreSQL does not start\n{self._process.tail()}")
            time.sleep(0.1)

    def __exit__(self, *_):
        if not self._process.ended():
            os.kill(self._process.pid, signal.SIGINT)
        self._process.wait(30)

    def slow_inserts(self, schemas):
        """Has every table that is created from now on in schemas whose names are like this wait a little after an INSERT."""
        self.query(SLOW_INSERTS.replace("{schemas}", schemas))

    @property
    def pid(self):
        return self._process.pid

    @property
    def url(self):
        return f"postgresql://{self.USER}@127.0.0.1:{self.port}/postgres"

    def _psql(self, sql):
        return [self.bin / "psql", "-XAtq", "-F", SEPARATOR, "-v", "ON_ERROR_STOP=1", self.url, "-c", sql]

    def query(self, sql):
        """The rows, each a list of texts."""
        _, out = processes.run(self._psql(sql))
        return [line.split(SEPARATOR) for line in out.decode().splitlines()]
