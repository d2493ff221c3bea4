"""bnrun from a raw table beside ONNX Runtime from prepared inputs: mixed_table.py FOLDER_OF_PROGRAMS ORT_RUN

Trains on a table of mixed columns with missing values by every rule, and exits 0 when
the two engines differ by at most 1e-5 anywhere.
"""

import csv
import io
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import mixed_table  # noqa: E402


def scores(command, stdin=None):
    text = subprocess.run(command, input=stdin, text=True, check=True, stdout=subprocess.PIPE).stdout
    return np.array(list(csv.reader(io.StringIO(text)))[1:], dtype=np.float32)


def main(programs, ort_run):
    table = mixed_table.draw()
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data, model = folder / "table.csv", folder / "model.onnx"
        data.write_text(mixed_table.csv_text(table))
        inputs = []
        for name, rows in mixed_table.prepared(table).items():
            file = folder / f"{name}.npy"
            np.save(file, np.array(rows, dtype=np.float32 if name == "input" else str))
            inputs.append(f"{name}={file}")
        for rule in ["mean", "median", "zero", "indicator"]:
            subprocess.run([programs / "bntrain", "fit", data, "--target", mixed_table.TARGET, "-o", model, "-q",
                            "--missing", rule], check=True, stdout=subprocess.DEVNULL)
            shuffled = mixed_table.csv_text(table, sorted(mixed_table.COLUMNS), ";", ",")
            ours = scores([programs / "bnrun", model, "-i", "-"], shuffled)
            theirs = scores([ort_run, model, *inputs])
            difference = float(np.abs(ours - theirs).max())
            worst = max(worst, difference)
            print(f"{rule}: {len(ours)} rows, largest difference {difference:.3g}")
    return 0 if worst <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:])))
