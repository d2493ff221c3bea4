"""What torch exports of each idiom folds completely and still computes the same. Skips where torch is not installed."""

import collections
import importlib.util
import json
import shutil
import unittest

import onnx

from programs import MODELS, ProgramTest


@unittest.skipUnless(importlib.util.find_spec("torch"), "torch is not installed (Debian: python3-torch)")
class Torch(ProgramTest):
    program = "bnfold"

    @classmethod
    def setUpClass(cls):
        import torch_idioms
        shutil.rmtree(MODELS, ignore_errors=True)
        torch_idioms.write_all(MODELS)
        cls.models = json.loads((MODELS / "expectations.json").read_text())["models"]

    def test_exports_fold_and_compute_what_torch_does_in_double(self):
        self.assertGreater(len(self.models), 30)
        for name, expected in self.models.items():
            with self.subTest(name):
                folded = self.folder / name / "model.onnx"
                shutil.copytree(MODELS / name / "test_data_set_0", folded.parent / "test_data_set_0")
                self.program = "bnfold"
                self.succeed("-q", MODELS / name / "model.onnx", "-o", folded, "--report", folded.parent / "r.json")
                report = json.loads((folded.parent / "r.json").read_text())
                left = [entry for entry in report["batch_normalizations"] if not entry["folded"]]
                self.assertEqual([entry["reason"] for entry in left], expected["left"], left)
                operators = collections.Counter(node.op_type for node in onnx.load(str(folded)).graph.node)
                if not left:
                    self.assertEqual([gone for gone in expected["gone"] if gone in operators], [], operators)
                if not expected["runs"]:
                    self.assertIn("Odd", report["unverified"])
                    continue
                self.assertTrue(report["unverified"] == "nothing was changed" or report["verification"]["agree"])
                self.program = "bnrun"
                out = self.succeed("test", MODELS / name, folded.parent).decode()
                self.assertIn("2 passed, 0 failed, 0 skipped", out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
