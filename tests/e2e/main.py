"""All end-to-end scripts, one after another, and how each went. They can be run one by one, too, with more options."""

import argparse
import sys

import connectors
import destinations
import lake
import matrix
import nostate
import pipeline
import processes
import resume
import volume


def main():
    parser = argparse.ArgumentParser(prog="tests/e2e/run", description=__doc__)
    parser.add_argument("--only", action="append", metavar="SCRIPT", help="only this of them; can be given again")
    parser.add_argument("--kills", default="50", help="in the resume test, at least (default 50)")
    parser.add_argument("--pipeline-kills", default="12", help="in the pipeline test, at least (default 12)")
    parser.add_argument("--pair-kills", default="3", help="for each pair in the matrix, at least (default 3)")
    parser.add_argument("--destination-kills", default="2", help="for each kind of program as a destination (default 2)")
    parser.add_argument("--count", default="100000", help="of users in the volume test (default 100000: 200,100 records)")
    parser.add_argument("--seed", help="default: a random one, printed")
    options = parser.parse_args()
    seed = ["--seed", options.seed] if options.seed else []
    scripts = {
        "nostate": (nostate.main, []),
        "volume": (volume.main, ["--count", options.count, *seed]),
        "resume": (resume.main, ["--kills", options.kills, *seed]),
        "pipeline": (pipeline.main, ["--kills", options.pipeline_kills, *seed]),
        "destinations": (destinations.main, ["--kills", options.destination_kills, *seed]),
        "lake": (lake.main, seed),
        "matrix": (matrix.main, ["--kills", options.pair_kills, *seed]),
    }
    code = processes.report("prepare", lambda _: (processes.highwater(), connectors.install_all()), [])
    if code:
        return code
    if unknown := set(options.only or []) - scripts.keys():
        parser.error(f"no script {', '.join(unknown)}; there are {', '.join(scripts)}")
    scripts = {title: script for title, script in scripts.items() if not options.only or title in options.only}
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
