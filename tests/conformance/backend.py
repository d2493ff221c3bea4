#!/usr/bin/env python3
"""Runs the ONNX backend tests of Debian's libonnx-testdata and holds the result against floor.json.

usage: backend.py BNRUN [--write] [DATA_FOLDER]
Prints one line per suite. Exits 1 when a test fails, or when one that floor.json lists no longer passes, and names it.
--write lists in floor.json what passes now: part of every change that makes another test pass.
"""
import json
import pathlib
import re
import subprocess
import sys
import textwrap

FLOOR = pathlib.Path(__file__).parent / "floor.json"
SUITES = ("node", "simple", "pytorch-converted", "pytorch-operator")
PREFIX = "test_"  # of every name, left out of floor.json


def run_suite(bnrun, folder):
    tests = sorted(str(path) for path in folder.iterdir() if (path / "model.onnx").exists())
    lines = []
    for first in range(0, len(tests), 500):
        done = subprocess.run([bnrun, "test", *tests[first:first + 500]], stdout=subprocess.PIPE, text=True)
        if done.returncode not in (0, 1):
            sys.exit(f"bnrun test ended with exit code {done.returncode}; last line: {done.stdout.splitlines()[-1:]}")
        lines += done.stdout.splitlines()
    results = {}
    for line in lines:
        match = re.match(r"(PASS|FAIL|SKIP) ([^ :]+)(.*)", line)
        if match:
            results[match.group(2).removeprefix(PREFIX)] = (match.group(1), line)
    if len(results) != len(tests):
        sys.exit(f"{len(tests)} tests, but {len(results)} results")
    return results


def write_floor(floors):
    suites = []
    for suite, names in floors.items():
        lines = textwrap.fill(", ".join(map(json.dumps, sorted(names))), 118, break_long_words=False,
                              break_on_hyphens=False)
        suites.append(f"{json.dumps(suite)}: [\n{lines}\n]")
    FLOOR.write_text("{\n" + ",\n".join(suites) + "\n}\n")


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--write"]
    bnrun = arguments[0]
    data = pathlib.Path(arguments[1] if len(arguments) > 1 else "/usr/share/libonnx-testdata/data")
    results_of = {suite: run_suite(bnrun, data / suite) for suite in SUITES}
    passing = {suite: {name for name, (kind, _) in results.items() if kind == "PASS"}
               for suite, results in results_of.items()}
    if "--write" in sys.argv:
        write_floor(passing)
    floors = json.loads(FLOOR.read_text())
    good = True
    for suite, results in results_of.items():
        count = {kind: sum(r[0] == kind for r in results.values()) for kind in ("PASS", "FAIL", "SKIP")}
        print(f"backend tests, {suite}: {count['PASS']} of {len(results)} pass, {count['FAIL']} fail, "
              f"{count['SKIP']} skipped")
        for kind, line in results.values():
            if kind == "FAIL":
                print("  " + line)
                good = False
            elif kind == "SKIP" and ":" not in line:
                print("  a skip without a reason: " + line)
                good = False
        for name in sorted(set(floors[suite]) - passing[suite]):
            print("  no longer passes: " + results.get(name, ("", PREFIX + name + ", which is gone"))[1])
            good = False
        if fresh := sorted(passing[suite] - set(floors[suite])):
            print(f"  not in floor.json yet (--write): {' '.join(fresh)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
