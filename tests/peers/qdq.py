"""Whether both engines make the same of models in QDQ form: qdq.py FOLDER_OF_PROGRAMS ORT_RUN

Exits 0 when they do. Both add exactly; ONNX Runtime works the sums out in float32, bnrun in double, so that a number beside
a tie may become its neighbour, and what is computed of that lies a few steps off.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import qdq_models


def compare(programs, ort_run, name, folder):
    make, most = qdq_models.MODELS[name]
    model, net = make()
    path = folder / f"{name}.onnx"
    onnx.save(model, str(path))
    np.save(folder / "x.npy", np.random.default_rng(5).normal(size=(3, *net.shape)).astype(np.float32))
    subprocess.run([programs / "bnrun", path, "-i", folder / "x.npy", "-o", folder / "ours.npy"], check=True)
    subprocess.run([ort_run, path, f"x={folder / 'x.npy'}", "-o", folder / "theirs.npy"], check=True)
    ours, theirs = np.load(folder / "ours.npy"), np.load(folder / "theirs.npy")
    assert ours.shape == theirs.shape and np.ptp(ours) > 10 * net.step
    steps = np.abs(ours - theirs) / net.step
    apart = float((steps > 0.5).mean())
    print(f"{name:<10} {ours.size} numbers, {100 * apart:.2f} % of them apart, {steps.max():.2f} steps at most")
    return steps.max() <= most + 1e-3 and apart <= 0.02 * most


def main(programs, ort_run):
    with tempfile.TemporaryDirectory() as folder:
        agree = [compare(programs, ort_run, name, pathlib.Path(folder)) for name in qdq_models.MODELS]
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), sys.argv[2]) if len(sys.argv) == 3 else __doc__)
