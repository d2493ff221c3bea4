"""Models in QDQ form, as quantisers write them, through the programs: computed on bytes, and near what float32 says."""

import pathlib
import re
import sys
import unittest

import numpy as np
import onnx

from programs import ProgramTest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import qdq_models

# name: steps on bytes in the profile, of each kind
STEPS = {
    "gemm": {"dense": 1},
    "gemm_int8": {"dense": 1},
    "words": {"dense": 1},
    "floats": {"dense": 1},
    "blocks": {"convolution": 7, "sum": 2, "dense": 1},
    "inverted": {"convolution": 6, "sum": 2},
}


class Qdq(ProgramTest):
    program = "bnrun"

    def setUp(self):
        super().setUp()
        self.nets = {}
        for name in STEPS:
            model, self.nets[name] = qdq_models.MODELS[name][0]()
            onnx.save(model, str(self.folder / f"{name}.onnx"))
            x = np.random.default_rng(5).normal(size=(9, *self.nets[name].shape))
            np.save(self.folder / f"{name}.npy", x.astype(np.float32))

    def test_layers_and_sums_are_steps_on_bytes(self):
        for name, expected in STEPS.items():
            with self.subTest(name):
                out = self.succeed("profile", f"{name}.onnx", "-b", "2", "--no-limits").decode()
                found = re.findall(r"(\w+), bytes ", out)
                self.assertEqual({kind: found.count(kind) for kind in set(found)}, expected)
                in_floats = self.succeed("profile", f"{name}.onnx", "-b", "2", "--no-limits", "--kernels", "packed").decode()
                self.assertNotIn(", bytes ", in_floats)

    def test_numbers_are_those_of_float32_but_for_ties(self):
        for name, net in self.nets.items():
            with self.subTest(name):
                outputs = []
                for kernels in ("auto", "packed", "blas"):
                    self.succeed(f"{name}.onnx", "-i", f"{name}.npy", "--kernels", kernels, "-o", "y.npy")
                    outputs.append(np.load(self.folder / "y.npy"))
                self.assertGreater(np.ptp(outputs[0]), 10 * net.step)
                for floats in outputs[1:]:
                    steps = np.abs(outputs[0] - floats) / net.step
                    self.assertLessEqual(steps.max(), qdq_models.MODELS[name][1] + 1e-3)
                    self.assertLessEqual((steps > 0.5).mean(), 0.02 * qdq_models.MODELS[name][1])


if __name__ == "__main__":
    unittest.main()
