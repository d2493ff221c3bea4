"""From the start of a process to its answer for one row, bnrun beside ONNX Runtime in turns: cold_start.py BUILD_FOLDER [ROUNDS]

Medians of a small model and of one of 100 MB; files are in the system's cache. BUILD_FOLDER: configured with
-DBNRUN_ORT_DIR=..., which tests/bench/run does. Needs onnx and numpy (Debian: python3-onnx).
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

NETWORKS = {"64-32-32-10": [64, 32, 32, 10], "2048x6-10 (100 MB)": [2048] * 7 + [10]}


def write_models(folder):
    import models
    import onnx

    for name, widths in NETWORKS.items():
        onnx.save(models.network(widths, "Relu", "before", 0), folder / f"{name}.onnx")


def measure(command):
    """Seconds until it ends, seconds of processor time, and bytes in memory at most (this process's own at least)."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"cold_start: {command[0]} failed")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main(build, rounds):
    subprocess.run(["cmake", "--build", build, "--target", "bnrun_tool", "ort_start", "--", "--quiet"], check=True,
                   stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: what this one takes counts as taken by those it starts.
        subprocess.run([sys.executable, "-B", __file__, "--models", folder], check=True)
        print("| network | engine | ms | ms of processors | MB at most |\n|---|---|---:|---:|---:|")
        for name in NETWORKS:
            model = pathlib.Path(folder) / f"{name}.onnx"
            commands = {"bnrun": [build / "tools/bnrun", model, "--random=1"],
                        "ONNX Runtime": [build / "tests/peers/ort_start", model]}
            found = {engine: [] for engine in commands}
            for _ in range(rounds):
                for engine, command in commands.items():
                    found[engine].append(measure(command))
            for engine, measured in found.items():
                wall, processors, peak = (statistics.median(column) for column in zip(*measured))
                print(f"| {name} | {engine} | {wall * 1e3:.1f} | {processors * 1e3:.1f} | {peak / 2**20:.0f} |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--models":  # FOLDER: only writes them there
        write_models(pathlib.Path(sys.argv[2]))
    else:
        main(pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 15)
