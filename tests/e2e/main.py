"""All end-to-end scripts, one after another, and how each went. They can be run one by one, too, with more options."""

import argparse
import sys

import connectors
import nostate
import pipeline
import processes
import resume
import volume


def main():
    parser = argparse.ArgumentParser(prog="tests/e2e/run", description=__doc__)
    parser.add_argument("--kills", default="50", help="in the resume test, at least (default 50)")
    parser.add_argument("--pipeline-kills", default="12", help="in the pipeline test, at least (default 12)")
    parser.add_argument("--count", default="100000", help="of users in the volume test (default 100000: 200,100 records)")
    parser.add_argument("--seed", help="default: a random one, printed")
    options = parser.parse_args()
    seed = ["--seed", options.seed] if options.seed else []
    scripts = {
        "nostate": (nostate.main, []),
        "volume": (volume.main, ["--count", options.count, *seed]),
        "resume": (resume.main, ["--kills", options.kills, *seed]),
        "pipeline": (pipeline.main, ["--kills", options.pipeline_kills, *seed]),
    }
    code = processes.report("prepare", lambda _: (processes.highwater(), connectors.install_all()), [])
    if code:
        return code
    codes = {}
    for title, (script, arguments) in scripts.items():
        print(f"\n== {title}", flush=True)
        codes[title] = processes.report(title, script, arguments)
        if codes[title] == processes.INTERRUPTED:
            break
    print("\n== all")
    words = {0: "ok", 1: "FAILED", processes.INTERRUPTED: "interrupted", None: "not run"}
    processes.table((title, words[codes.get(title)]) for title in scripts)
    return max(codes.values())


if __name__ == "__main__":
    sys.exit(main())
