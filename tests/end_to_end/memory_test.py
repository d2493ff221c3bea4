"""What programs take: folding in memory, as a multiple of the model's size; running a small model in memory and in libraries."""

import os
import pathlib
import subprocess
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from programs import DONE, MODELS, PROGRAMS, RESOURCE_LIMIT, ProgramTest

MODEL_BYTES = 64e6  # what the programs take without a model, some 15 MB, must not decide
LIMIT = 2.5
CANNOT_BE_LOADED = 127
DIABETES = pathlib.Path(__file__).resolve().parents[2] / "models/data/diabetes.csv"


def layers(op_type, weight_shape, count):
    """count * [op_type, BatchNormalization, Relu] with square weights: nodes and constants by name."""
    rng = np.random.default_rng(1)
    channels = weight_shape[0]
    nodes, arrays, data = [], {}, "x"
    for i in range(count):
        last = "y" if i == count - 1 else f"relu{i}"
        parameters = [f"{name}{i}" for name in ("scale", "B", "mean", "var")]
        arrays[f"W{i}"] = rng.standard_normal(weight_shape, dtype=np.float32)
        for name in parameters:
            arrays[name] = rng.uniform(0.5, 1.5, channels).astype(np.float32)
        nodes += [helper.make_node(op_type, [data, f"W{i}"], [f"h{i}"]),
                  helper.make_node("BatchNormalization", [f"h{i}", *parameters], [f"bn{i}"]),
                  helper.make_node("Relu", [f"bn{i}"], [last])]
        data = last
    return nodes, arrays


class Memory(ProgramTest):
    program = "bnfold"

    def check(self, op_type, weight_shape, count, *options, as_constants=False, **saving):
        nodes, arrays = layers(op_type, weight_shape, count)
        tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
        if as_constants:
            nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in tensors] + nodes
            tensors = []
        shape = ["N", weight_shape[0], *[None for _ in weight_shape[2:]]]
        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
        graph = helper.make_graph(nodes, "graph", ports[:1], ports[1:], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save_model(model, str(self.folder / "model.onnx"), **saving)
        size = sum(os.path.getsize(path) for path in self.folder.iterdir())
        self.assertGreater(size, MODEL_BYTES)
        peak = self.peak_bytes("model.onnx", "-o", "out.onnx", "--no-verify", "--strict", *options)
        self.assertLessEqual(peak, LIMIT * size)

    def test_several_layers(self):
        self.check("Gemm", (2001, 2001), 4)

    def test_one_layer(self):
        self.check("MatMul", (4001, 4001), 1)

    def test_convolution(self):
        self.check("Conv", (1334, 1334, 3, 3), 1)

    def test_weights_in_constant_nodes(self):
        self.check("Gemm", (2001, 2001), 4, as_constants=True)

    def test_external_data(self):
        self.check("Gemm", (4001, 4001), 1, save_as_external_data=True, location="model.data")
        self.assertGreater(os.path.getsize(self.folder / "out.onnx.data"), MODEL_BYTES)


class Start(ProgramTest):
    program = "bnrun"

    def test_running_a_small_model_takes_little_memory(self):
        self.assertLess(self.peak_bytes(MODELS / "mlp.onnx", "-i", MODELS / "x.npy"), 16e6)

    def test_memory_does_not_grow_with_the_outputs(self):
        np.save(self.folder / "rows.npy", np.ones((120000, 1), np.float32))
        model = MODELS / "wide.onnx"
        self.assertLess(self.peak_bytes(model, "-i", "rows.npy", "-o", "/dev/null") + (100 << 20),
                        self.peak_bytes(model, "-i", "rows.npy", "-o", "/dev/null", "-f", "npy"))

    def test_openblas_is_loaded_where_a_product_needs_it(self):
        """Most of the time that starting a program takes went into it."""
        for kernels, loaded in (("packed", False), ("blas", True)):
            command = [PROGRAMS / "bnrun", MODELS / "mlp.onnx", "-i", MODELS / "x.npy", "--kernels", kernels]
            result = subprocess.run(command, env={**os.environ, "LD_DEBUG": "files"}, capture_output=True, check=True)
            self.assertEqual(b"libopenblas" in result.stderr, loaded, kernels)

    def test_no_room_for_openblas_is_an_error(self):
        """It tries to map its buffers for ever, in threads of its own, too."""
        enough = 500 + 400 * len(os.sched_getaffinity(0))
        fit = ["fit", DIABETES, "--target", "progression", "--epochs", "1", "-o", "m.onnx", "-q"]
        for program, command in [("bnrun", [MODELS / "mlp.onnx", "-i", MODELS / "x.npy", "--kernels", "blas"]), ("bntrain", fit)]:
            for threads in (1, 2):
                self.program, ends = program, []
                for megabytes in range(40, enough + 1, (enough - 40) // 12):
                    result = self.run_program(*command, "-t", threads, address_space=megabytes << 20)
                    if not ends and result.returncode == CANNOT_BE_LOADED:
                        continue  # the program itself has no room
                    ends.append(result.returncode)
                    if result.returncode != DONE:
                        self.assertEqual(result.returncode, RESOURCE_LIMIT, result.stderr.decode())
                        self.assertIn(b"out of memory", result.stderr)
                self.assertEqual((ends[0], ends[-1]), (RESOURCE_LIMIT, DONE))
                self.assertEqual(ends, sorted(ends, reverse=True))


if __name__ == "__main__":
    unittest.main()
