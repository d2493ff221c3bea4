"""bnfold without options on networks of the kinds that people bring: folded, and verified on inputs that they accept."""

import json
import unittest

import onnx

import networks
from programs import ProgramTest

# name: the model, the shape of the first set of inputs, how many BatchNormalizations stay
CASES = {
    "text_line_classifier": (networks.text_line_classifier, [1, 3, 96, 96], 0),  # as many pixels as 48 x 192
    "mel_front_end": (networks.mel_front_end, [1, 400], 0),
    "recogniser": (networks.recogniser, [1, 3, 48, 5], 0),
    "vgg11": (lambda: networks.vgg11(64), [1, 3, 64, 64], 0),
    "segmentation": (lambda: networks.segmentation(64), [1, 3, 64, 64], 0),
}


class Networks(ProgramTest):
    program = "bnfold"

    def test_are_folded_and_verified_on_sizes_that_they_accept(self):
        for name, (make, shape, left) in CASES.items():
            with self.subTest(name):
                onnx.save(make(), str(self.folder / f"{name}.onnx"))
                self.succeed("-q", f"{name}.onnx", "-o", "folded.onnx", "--report", "r.json")
                report = json.loads((self.folder / "r.json").read_text())
                self.assertTrue(report["verification"]["agree"])
                self.assertEqual(report["verification"]["inputs"][0]["shape"], shape)
                self.assertEqual(sum(n.op_type == "BatchNormalization" for n in
                                     onnx.load(str(self.folder / "folded.onnx")).graph.node), left)


if __name__ == "__main__":
    unittest.main()
