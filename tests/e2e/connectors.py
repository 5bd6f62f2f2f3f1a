"""Real Airbyte sources, each installed into a virtual environment of its own below target/ (which git ignores)."""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys

import processes

INSTALL_SECONDS_MAX = 900

# The versions are fixed: the resume test relies on how this very CDK schedules its slices. Each needs its own
# environment, since each wants another version of the CDK.
PACKAGES = {
    "declarative": ("airbyte-cdk==7.39.1", "source-declarative-manifest"),
    "faker": ("airbyte-source-faker==7.2.1", "source-faker"),
    "file": ("airbyte-source-file==0.5.39", "source-file"),
}


def program(name):
    """The path of the source's command; installed if it is not there yet."""
    package, command = PACKAGES[name]
    venv = processes.REPO / f"target/e2e/venv-{name}"
    ready = venv / "installed"
    with processes.locked(venv.with_suffix(".lock")):
        # Written last, so an installation that was interrupted is made again.
        if not (ready.exists() and ready.read_text() == package):
            print(f"installing {package} ...", flush=True)
            shutil.rmtree(venv, ignore_errors=True)
            processes.run([sys.executable, "-m", "venv", venv], seconds=120)
            pip = [venv / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", package]
            processes.run(pip, seconds=INSTALL_SECONDS_MAX)
            ready.write_text(package)
    return str(venv / "bin" / command)


def install_all():
    """Side by side, since they mostly wait."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            list(pool.map(program, PACKAGES))
        except BaseException:
            processes.end_all()  # else leaving the pool would wait for the others
            raise


def environment():
    return os.environ | {
        "PYTHONUNBUFFERED": "1",  # else a state comes out when the buffer is full
        "PYTHONUTF8": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def start(name, stderr, arguments):
    """Starts `read` of a source; its messages are on the child's stdout."""
    command = [program(name), "read", *map(str, arguments)]
    return processes.Child(
        f"source {name}", command, stderr, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )


def discover(name, config, sync_mode, destination_sync_mode):
    """A configured catalog of all streams that the source has."""
    _, out = processes.run([program(name), "discover", "--config", config], env=environment())
    catalog = next(m["catalog"] for m in map(json.loads, out.splitlines()) if m["type"] == "CATALOG")
    return {"streams": [configured(stream, sync_mode, destination_sync_mode) for stream in catalog["streams"]]}


def configured(stream, sync_mode, destination_sync_mode):
    return {
        "stream": stream,
        "sync_mode": sync_mode,
        "destination_sync_mode": destination_sync_mode,
        "cursor_field": stream.get("default_cursor_field", []),
        "primary_key": stream.get("source_defined_primary_key", []),
    }
