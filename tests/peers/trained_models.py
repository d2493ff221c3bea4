"""Models straight from training in both engines: trained_models.py FOLDER_OF_PROGRAMS ORT_RUN

Exits 0 when what bntrain wrote gives in bnrun and in ONNX Runtime, as it is and folded by `bnfold --strict`, the same
within 1e-5 (of numbers: relative to the largest), and the loss on rows held out that the trainer evaluated itself.
"""

import csv
import io
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

DATA = pathlib.Path(__file__).resolve().parents[2] / "models/data"
CLASSES = ["setosa", "versicolor", "virginica"]
CASES = [("iris.csv", "species", []), ("iris.csv", "species", ["--fold-training"]), ("iris.csv", "species", ["--bn", "after"]),
         ("iris.csv", "species", ["--layers", "dense(8) ln gelu residual(dense(8) bn relu) elu dense(6) selu dropout(0.1) dense"]),
         ("iris.csv", "species", ["--layers", "bn dense(8, nobias) leaky_relu(0.1) bn dense(8) sigmoid bn dense", "--scale", "minmax"]),
         ("diabetes.csv", "progression", []), ("diabetes.csv", "progression", ["--activation", "tanh", "--loss", "huber"])]


def scores(command):
    text = subprocess.run(command, text=True, check=True, stdout=subprocess.PIPE).stdout
    return np.array(list(csv.reader(io.StringIO(text)))[1:], dtype=np.float64)


def main(programs, ort_run):
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model, folded, held = folder / "m.onnx", folder / "f.onnx", folder / "held.csv"
        for table, target, options in CASES:
            said = subprocess.run([programs / "bntrain", "fit", DATA / table, "--target", target, "-o", model, "-q", "--progress", "0",
                                   "--holdout", "40", "--holdout-out", held, *options], check=True, stdout=subprocess.PIPE, text=True).stdout
            strict = [] if "gelu" in str(options) else ["--strict"]  # gelu is written as products and sums that look like maps
            subprocess.run([programs / "bnfold", "-q", *strict, model, "-o", folded], check=True, stdout=subprocess.DEVNULL)
            with open(held) as file:
                rows = list(csv.reader(file))[1:]
            np.save(folder / "x.npy", np.array([row[:-1] for row in rows], dtype=np.float32))
            ours = scores([programs / "bnrun", model, "-i", folder / "x.npy"])
            size = max(1.0, np.abs(ours).max())
            difference = max(np.abs(scores([ort_run, file, f"input={folder / 'x.npy'}"]) - ours).max() / size for file in (model, folded))
            if target == "species":
                measured = -np.log([row[CLASSES.index(kind[-1])] for row, kind in zip(ours, rows)]).mean()
                told = float(said.split("held-out   accuracy ")[1].split("loss ")[1].split()[0])
            else:
                measured = np.abs(ours[:, 0] - [float(row[-1]) for row in rows]).mean()
                told = float(said.split("held-out   mean absolute error ")[1].split()[0])
            print(f"{table} {' '.join(options)}: largest difference {difference:.3g}; told {told}, measured {measured:.4f}")
            if abs(measured - told) > 6e-5 * max(1.0, told):
                return 1
            worst = max(worst, difference)
    return 0 if worst <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:])))
