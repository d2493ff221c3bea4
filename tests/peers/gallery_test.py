"""The gallery in ONNX Runtime: models as they came and as folded lie where double precision says. Skips without it."""

import json
import os
import subprocess
import unittest

import numpy as np
import onnx
from onnx import numpy_helper

from programs import MODELS, ProgramTest

ORT_RUN = os.environ.get("BNRUN_ORT_RUN", "")
# What ONNX Runtime 1.30 refuses to load or cannot hand over: why.
LEFT_OUT = {"skl2onnx_zipmap": "an output is a sequence of maps"}


def read(path):
    return numpy_helper.to_array(onnx.load_tensor(str(path)))


def error(truth, values):
    """The largest distance, relative to the scale of the truth."""
    distance = np.abs(values.astype(np.float64) - truth.astype(np.float64))
    return float(distance.max(initial=0)) / max(1.0, float(np.abs(truth.astype(np.float64)).max(initial=0)))


@unittest.skipUnless((MODELS / "expectations.json").exists(), f"there are no models in {MODELS}: torch is not installed")
@unittest.skipUnless(ORT_RUN, "configure with BNRUN_ORT_DIR (tests/peers/setup DIR) to compare with ONNX Runtime")
class Gallery(ProgramTest):
    program = "bnfold"

    def in_onnx_runtime(self, model, data, *options):
        names = [value.name for value in onnx.load(str(model), load_external_data=False).graph.input]
        files = [f"{names[i]}={path}" for i, path in enumerate(sorted(data.glob("input_*.pb")))]
        out = self.folder / "out.npz"
        result = subprocess.run([ORT_RUN, *options, model, *files, "-o", out], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        with np.load(out) as outputs:
            return dict(outputs)

    def test_folded_models_err_no_more_than_those_that_came(self):
        models = json.loads((MODELS / "expectations.json").read_text())["models"]
        self.assertTrue(models)
        for name in sorted(set(models) - set(LEFT_OUT)):
            if not models[name].get("runs", True):
                continue
            with self.subTest(name):
                data = MODELS / name / "test_data_set_0"
                folded = self.folder / name / "model.onnx"
                folded.parent.mkdir()
                self.succeed("-q", MODELS / name / "model.onnx", "-o", folded)
                # Its optimiser computes with integers where weights are integers, which is another matter.
                for options, most in ((["--plain"], 2e-6), ([], np.inf)):
                    came = self.in_onnx_runtime(MODELS / name / "model.onnx", data, *options)
                    went = self.in_onnx_runtime(folded, data, *options)
                    self.assertEqual(list(went), list(came))
                    for i, output in enumerate(came):
                        truth = read(data / f"output_{i}.pb")
                        self.assertEqual(went[output].shape, truth.shape)
                        before, after = error(truth, came[output]), error(truth, went[output])
                        self.assertLess(before, most)
                        self.assertLessEqual(after, max(4 * before, 1e-6), output)


if __name__ == "__main__":
    unittest.main(verbosity=2)
