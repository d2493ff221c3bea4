"""What a call from Python takes beyond the same call from C++: a 64-32-32-10 network, one row, microseconds.

usage: PYTHONPATH=BUILD/python /usr/bin/python3 tests/bench/python_overhead.py BUILD/tests/session_bench
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import bnrun

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bindings"))
from models import dense_network  # noqa: E402

CALLS = 2000


def per_call(session, feed):
    start = time.perf_counter()
    for _ in range(CALLS):
        session.run(None, feed)
    return (time.perf_counter() - start) / CALLS * 1e6


def main():
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(dense_network().SerializeToString())
        file.flush()
        session, feed = bnrun.InferenceSession(file.name), {"x": np.ones((1, 64), np.float32)}
        for _ in range(3):  # in turns, since other programs run too
            cpp = float(subprocess.run([sys.argv[1], file.name, "1"], stdout=subprocess.PIPE, check=True).stdout)
            python = statistics.median(per_call(session, feed) for _ in range(50))
            print(f"C++ {cpp:.2f} us, Python {python:.2f} us, {python - cpp:.2f} us more")


if __name__ == "__main__":
    main()
