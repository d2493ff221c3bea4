"""Networks in int8, trained so or quantised after training, in both engines:

    quantised_digits.py FOLDER_OF_PROGRAMS ORT_RUN [SPLITS [SEEDS]]

Exits 0 when bnrun and ONNX Runtime give every held-out digit the same class, and training in int8 costs at most half a
point of accuracy; prints what either costs. Quantising after training takes the ranges of all rows that were trained on.
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
ARGUMENTS = ["--target", "digit", "--validation", "0", "--holdout", "360", "-q", "--progress", "0"]
SCALES = {"pixels / 16": ["--scale", "factor:0.0625"], "standardized": []}
WAYS = ["float32", "after training", "while training"]


def scores(command):
    text = subprocess.run(command, text=True, check=True, stdout=subprocess.PIPE).stdout
    return np.array(list(csv.reader(io.StringIO(text)))[1:], dtype=np.float32)


def held_out(command):
    """Accuracy and loss on the rows held out."""
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    words = said.split("held-out   accuracy ")[1].split()
    return float(words[0]), float(words[2])


def measure(programs, ort_run, folder, scale, split, seed):
    """Accuracy and loss of each way; rows of another class in ONNX Runtime, and how far its probabilities lie off."""
    holdout = ["--holdout-seed", str(split)]
    fit = [programs / "bntrain", "fit", DIGITS, *ARGUMENTS, *holdout, "--seed", str(seed), *scale]
    files = [folder / f"{i}.onnx" for i in range(3)]
    reached = [held_out([*fit, "-o", files[0], "--holdout-out", folder / "held.csv"]),
               held_out([programs / "bntrain", "tune", files[0], DIGITS, *ARGUMENTS, *holdout, "-o", files[1], "--epochs", "0",
                         "--qat", "int8"]),
               held_out([*fit, "-o", files[2], "--qat", "int8"])]
    with open(folder / "held.csv") as file:
        rows = np.array(list(csv.reader(file))[1:], dtype=np.float32)
    np.save(folder / "x.npy", rows[:, :-1])
    differing, worst = 0, 0.0
    for file, (said, _) in zip(files[1:], reached[1:]):
        ours = scores([programs / "bnrun", file, "-i", folder / "x.npy"])
        theirs = scores([ort_run, file, f"input={folder / 'x.npy'}"])
        differing += int((ours.argmax(1) != theirs.argmax(1)).sum())
        worst = max(worst, float(np.abs(ours - theirs).max()))
        assert abs((ours.argmax(1) == rows[:, -1]).mean() - said) < 1e-4
    return reached, differing, worst


def main(programs, ort_run, splits=10, seeds=10):
    differing, worst, lost = 0, 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        for name, scale in SCALES.items():
            runs = []
            for split in range(1, splits + 1):
                for seed in range(1, seeds + 1):
                    reached, rows, off = measure(programs, ort_run, pathlib.Path(folder), scale, split, seed)
                    runs.append(reached)
                    differing, worst = differing + rows, max(worst, off)
            print(f"{name}, {splits} splits x {seeds} seeds: median accuracy, mean, mean loss, points lost to float32 (+- error of the mean)")
            for i, way in enumerate(WAYS):
                points = [100 * (run[0][0] - run[i][0]) for run in runs]
                error = statistics.stdev(points) / len(points) ** 0.5 if len(points) > 1 else 0.0
                values, losses = zip(*(run[i] for run in runs))
                print(f"  {way:<15} {statistics.median(values):.4f} {statistics.mean(values):.4f} {statistics.mean(losses):.5f} "
                      f"{statistics.mean(points):6.3f} +- {error:.3f}")
            lost.append(statistics.mean(points))
    print(f"{differing} of {720 * splits * seeds * len(SCALES)} rows of another class in ONNX Runtime, probabilities within {worst:.3g}")
    return differing > 0 or max(lost) > 0.5


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *map(int, sys.argv[3:])))
