"""bnrun from a raw table beside ONNX Runtime from prepared inputs: mixed_table.py FOLDER_OF_PROGRAMS

Needs numpy and onnxruntime. Trains on a table of mixed columns with missing values by every rule, and exits 0 when
the two engines differ by at most 1e-5 anywhere.
"""

import csv
import io
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import mixed_table  # noqa: E402


def main(programs):
    table = mixed_table.draw()
    inputs = mixed_table.prepared(table)
    arrays = {name: np.array(rows, dtype=np.float32 if name == "input" else object) for name, rows in inputs.items()}
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        data, model = pathlib.Path(folder) / "table.csv", pathlib.Path(folder) / "model.onnx"
        data.write_text(mixed_table.csv_text(table))
        for rule in ["mean", "median", "zero", "indicator"]:
            subprocess.run([programs / "bntrain", "fit", data, "--target", mixed_table.TARGET, "-o", model, "-q",
                            "--missing", rule], check=True, stdout=subprocess.DEVNULL)
            shuffled = mixed_table.csv_text(table, sorted(mixed_table.COLUMNS), ";", ",")
            scores = subprocess.run([programs / "bnrun", model, "-i", "-"], input=shuffled, text=True, check=True,
                                    stdout=subprocess.PIPE).stdout
            ours = np.array(list(csv.reader(io.StringIO(scores)))[1:], dtype=np.float32)
            theirs = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, arrays)[0]
            difference = float(np.abs(ours - theirs).max())
            worst = max(worst, difference)
            print(f"{rule}: {len(ours)} rows, largest difference {difference:.3g}")
    return 0 if worst <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
