"""Networks trained for int8 in both engines: quantised_digits.py FOLDER_OF_PROGRAMS ORT_RUN [SEEDS]

Exits 0 when bnrun and ONNX Runtime give every held-out digit the same class, and prints how much accuracy int8 costs.
"""

import csv
import io
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

DIGITS = pathlib.Path(__file__).resolve().parents[2] / "models/data/digits.csv.gz"
ARGUMENTS = ["--target", "digit", "--scale", "factor:0.0625", "--validation", "0", "--holdout", "360", "-q"]


def scores(command):
    text = subprocess.run(command, text=True, check=True, stdout=subprocess.PIPE).stdout
    return np.array(list(csv.reader(io.StringIO(text)))[1:], dtype=np.float32)


def main(programs, ort_run, seeds=10):
    accuracy = {"float": [], "int8": []}
    differing = 0
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for seed in range(1, seeds + 1):
            for name, options in [("float", []), ("int8", ["--qat", "int8", "--freeze-bn", "15"])]:
                said = subprocess.run([programs / "bntrain", "fit", DIGITS, "-o", folder / f"{name}.onnx", *ARGUMENTS, "--seed",
                                       str(seed), "--holdout-seed", str(seed), "--holdout-out", folder / "held.csv", *options],
                                      check=True, stdout=subprocess.PIPE, text=True).stdout
                accuracy[name].append(float(said.split("held-out   accuracy ")[1].split()[0]))
            with open(folder / "held.csv") as file:
                rows = np.array(list(csv.reader(file))[1:], dtype=np.float32)
            np.save(folder / "x.npy", rows[:, :-1])
            ours = scores([programs / "bnrun", folder / "int8.onnx", "-i", folder / "x.npy"])
            theirs = scores([ort_run, folder / "int8.onnx", f"input={folder / 'x.npy'}"])
            differing += int((ours.argmax(1) != theirs.argmax(1)).sum())
            worst = max(worst, float(np.abs(ours - theirs).max()))
            assert abs((ours.argmax(1) == rows[:, -1]).mean() - accuracy["int8"][-1]) < 1e-4
    medians = {name: statistics.median(values) for name, values in accuracy.items()}
    print(f"{seeds} seeds: held-out accuracy {medians['float']:.4f} in float, {medians['int8']:.4f} in int8; mean loss "
          f"{100 * (statistics.mean(accuracy['float']) - statistics.mean(accuracy['int8'])):.2f} points; "
          f"{differing} of {360 * seeds} rows of another class in ONNX Runtime, probabilities within {worst:.3g}")
    return differing > 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *map(int, sys.argv[3:])))
