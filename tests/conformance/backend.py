#!/usr/bin/env python3
"""Runs the ONNX backend tests of Debian's libonnx-testdata and holds the result against floor.json.

usage: backend.py BNRUN [DATA_FOLDER]
Prints one line per suite. Exits 1 when a test fails or fewer pass than floor.json says; raising the floor is part of
the change that raises the number.
"""
import json
import pathlib
import re
import subprocess
import sys


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
            results[match.group(2)] = (match.group(1), line)
    if len(results) != len(tests):
        sys.exit(f"{len(tests)} tests, but {len(results)} results")
    return results


def main():
    bnrun = sys.argv[1]
    data = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "/usr/share/libonnx-testdata/data")
    floors = json.loads((pathlib.Path(__file__).parent / "floor.json").read_text())
    good = True
    for suite, floor in floors.items():
        results = run_suite(bnrun, data / suite)
        count = {kind: sum(r[0] == kind for r in results.values()) for kind in ("PASS", "FAIL", "SKIP")}
        print(f"backend tests, {suite}: {count['PASS']} of {len(results)} pass, {count['FAIL']} fail, "
              f"{count['SKIP']} skipped (floor {floor})")
        for kind, line in results.values():
            if kind == "FAIL":
                print("  " + line)
            elif kind == "SKIP" and ":" not in line:
                print("  a skip without a reason: " + line)
                good = False
        good = good and count["FAIL"] == 0 and count["PASS"] >= floor
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
