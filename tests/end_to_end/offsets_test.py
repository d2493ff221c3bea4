"""Columns far from 0 as tables have them, through the trainer, the fold and both runs: no digit is lost on the way."""

import json
import unittest

import numpy as np
import onnx
from onnx import numpy_helper

from programs import ProgramTest

# mean and deviation: an identifier, a latitude, a northing in metres, seconds since 1970
COLUMNS = {"id": (1e7, 3.0), "latitude": (48.137, 0.002), "northing": (5.3e6, 400.0), "time": (1.7e9, 86400.0)}
ROWS = 400


def in_double(model, x):
    """What a trained model computes."""
    values = {tensor.name: numpy_helper.to_array(tensor).astype(float) for tensor in model.graph.initializer}
    values[model.graph.input[0].name] = x.astype(float)

    operators = {"Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Relu": lambda x: np.maximum(x, 0),
                 "Gemm": lambda a, b, c: a @ b + c,
                 "Softmax": lambda x: np.exp(x - x.max(axis=1, keepdims=True))}
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            epsilon = {a.name: a.f for a in node.attribute}.get("epsilon", 1e-5)
            x, scale, B, mean, var = (values[name] for name in node.input)
            values[node.output[0]] = (x - mean) / np.sqrt(var + epsilon) * scale + B
            continue
        values[node.output[0]] = operators[node.op_type](*(values[name] for name in node.input))
    y = values[model.graph.output[0].name]
    return y / y.sum(axis=1, keepdims=True)


class Offsets(ProgramTest):
    program = "bntrain"

    def test_no_class_flips_in_a_trained_and_folded_model(self):
        rng = np.random.default_rng(1)
        data = np.stack([mean + deviation * rng.normal(size=ROWS) for mean, deviation in COLUMNS.values()], axis=1)
        normal = (data - [mean for mean, _ in COLUMNS.values()]) / [deviation for _, deviation in COLUMNS.values()]
        label = (normal @ [1.0, -1.0, 0.5, 0.7] > 0).astype(int) + (normal[:, 0] * normal[:, 1] > 0.5)
        lines = [",".join([*COLUMNS, "label"])]
        lines += [",".join([*(f"{x:.9g}" for x in row), str(c)]) for row, c in zip(data, label)]
        self.write("table.csv", "\n".join(lines) + "\n")
        self.write("rows.csv", "\n".join(line.rsplit(",", 1)[0] for line in lines) + "\n")
        self.succeed("fit", "table.csv", "--target", "label", "--task", "classification", "-o", "model.onnx",
                     "--layers", "dense:24,bn,relu,dense:16,bn,relu,dense", "--epochs", "30", "--seed", "3")
        self.program = "bnfold"
        self.succeed("model.onnx", "-o", "folded.onnx", "--strict", "--report", "report.json")
        report = json.loads((self.folder / "report.json").read_text())
        self.assertTrue(report["verification"]["agree"])
        self.assertIn("+-3", report["verification"]["inputs"][0]["from"])
        self.succeed("verify", "model.onnx", "folded.onnx", "-i", "rows.csv")
        self.program = "bnrun"
        rows = np.loadtxt(self.folder / "rows.csv", delimiter=",", skiprows=1).astype(np.float32)
        truth = in_double(onnx.load(str(self.folder / "model.onnx")), rows)
        for model in ("model.onnx", "folded.onnx"):
            self.succeed(model, "-i", "rows.csv", "-o", "y.npy")
            y = np.load(self.folder / "y.npy")
            self.assertLess(np.abs(y - truth).max(), 2e-5, model)
            self.assertEqual(np.count_nonzero(y.argmax(axis=1) != truth.argmax(axis=1)), 0, model)


if __name__ == "__main__":
    unittest.main()
