"""Writes the models that c_interface_test.c speaks of, and runs it.

usage: PYTHONPATH=tests/bindings c_interface_test.py PROGRAM"""

import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models import model, zipped_classifier

FLOAT = TensorProto.FLOAT


def small(scale=2):
    """x[N,2] -> Gemm -> BatchNormalization -> Relu -> y[N,2]"""
    arrays = {"W": [[1, 2], [3, 4]], "b": [0, 1], "scale": [scale, 4], "B": [1, 0], "mean": [3, 5], "var": [4, 16]}
    nodes = [helper.make_node("Gemm", ["x", "W", "b"], ["h"], name="fc"),
             helper.make_node("BatchNormalization", ["h", "scale", "B", "mean", "var"], ["n"], name="bn", epsilon=0.0),
             helper.make_node("Relu", ["n"], ["y"])]
    constants = [numpy_helper.from_array(np.array(values, np.float32), name) for name, values in arrays.items()]
    return model(nodes, {"x": (FLOAT, ["N", 2])}, {"y": (FLOAT, ["N", 2])}, constants, author="somebody")


def main():
    text = model([helper.make_node("Identity", ["x"], ["y"])], {"x": (TensorProto.STRING, ["N", 2])},
                 {"y": (TensorProto.STRING, ["N", 2])})
    nonzero = model([helper.make_node("NonZero", ["x"], ["y"])], {"x": (FLOAT, ["N", 2])}, {"y": (TensorProto.INT64, [2, None])})
    models = {"small": small(), "other": small(3), "labels": zipped_classifier(["cat", "dog", "owl"]), "text": text,
              "nonzero": nonzero}
    with tempfile.TemporaryDirectory() as folder:
        for name, made in models.items():
            onnx.save(made, f"{folder}/{name}.onnx")
        sys.exit(subprocess.run([sys.argv[1], folder], check=False).returncode)


if __name__ == "__main__":
    main()
