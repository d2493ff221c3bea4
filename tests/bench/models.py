"""Writes the networks that tests/bench compares engines on: models.py FOLDER

Dense layers, each but the last with a BatchNormalization before or after its activation; weights and statistics are
drawn from a fixed seed. FOLDER/layers gets single layers, of bytes and of bfloat16 too, and FOLDER/memory four whose
weights no cache holds. Needs onnx and numpy (Debian: python3-onnx).
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Widths from input to output, and the activation between.
NETWORKS = {
    "64-32-32-10": ([64, 32, 32, 10], "Relu"),
    "256x4-10": ([256, 256, 256, 256, 10], "Relu"),
    "784-512-512-10": ([784, 512, 512, 10], "Relu"),
    "20x64-10": ([64] * 20 + [10], "Relu"),
    "30-128-64-1": ([30, 128, 64, 1], "Tanh"),
    "100-300-100-10": ([100, 300, 100, 10], "Sigmoid"),
}


# Inputs and outputs of single layers, and their element types.
LAYERS = [(256, 256, "float32"), (512, 512, "float32"), (784, 512, "float32"), (1024, 1024, "float32"),
          (1024, 1024, "int8"), (1024, 1024, "bfloat16")]
FROM_MEMORY = [4096] * 5


def network(widths, activation, order, seed):
    """`order`: "before" or "after", where a BatchNormalization stands to the activation. One output ends in Sigmoid, several in
    Softmax."""
    rng = np.random.default_rng(seed)
    nodes, arrays, data = [], {}, "x"

    def add(op_type, name, *constants, **attributes):
        nonlocal data
        nodes.append(helper.make_node(op_type, [data, *constants], [name], name=name, **attributes))
        data = name

    layers = len(widths) - 1
    for i, (inputs, outputs) in enumerate(zip(widths, widths[1:]), 1):
        arrays[f"W{i}"] = rng.normal(size=(inputs, outputs)) * np.sqrt(2 / inputs)
        arrays[f"b{i}"] = rng.normal(size=outputs) * 0.1
        add("Gemm", f"dense{i}", f"W{i}", f"b{i}")
        if i == layers:
            continue
        arrays[f"scale{i}"] = rng.uniform(0.5, 1.5, outputs)
        arrays[f"B{i}"] = rng.normal(size=outputs) * 0.3
        arrays[f"mean{i}"] = rng.normal(size=outputs) * 0.3
        arrays[f"var{i}"] = rng.uniform(0.3, 2.0, outputs)
        steps = [("BatchNormalization", f"bn{i}", *(f"{name}{i}" for name in ("scale", "B", "mean", "var"))),
                 (activation, f"act{i}")]
        for step in steps if order == "before" else reversed(steps):
            add(*step)
    nodes.append(helper.make_node("Softmax" if widths[-1] > 1 else "Sigmoid", [data], ["y"], name="last"))
    ports = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])]
             for name, width in (("x", widths[0]), ("y", widths[-1]))]
    constants = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    model = helper.make_model(helper.make_graph(nodes, "network", *ports, constants), ir_version=8,
                              opset_imports=[helper.make_opsetid("", 13)])
    onnx.checker.check_model(model)
    return model


def layer(widths, dtype, seed):
    """Products with weights alone, each of which the next one follows."""
    rng = np.random.default_rng(seed)
    nodes, constants, data = [], [], "x"
    element = {"float32": TensorProto.FLOAT, "int8": TensorProto.UINT8, "bfloat16": TensorProto.BFLOAT16}[dtype]

    def constant(name, array):
        constants.append(numpy_helper.from_array(array, name))
        return name

    for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        weights = (rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(np.float32)
        made = "y" if i + 2 == len(widths) else f"h{i}"
        if dtype == "int8":
            zero = constant("zero", np.uint8(128))
            nodes.append(helper.make_node("QLinearMatMul", [
                data, constant("x_scale", np.float32(0.02)), zero, constant("W", (weights * 1000).clip(-127, 127).astype(np.int8)),
                constant("W_scale", np.float32(0.001)), constant("W_zero", np.int8(0)), constant("y_scale", np.float32(0.03)), zero], [made]))
        else:
            if dtype == "bfloat16":
                upper = (weights.view(np.uint32) >> 16).astype(np.uint16)
                constants.append(helper.make_tensor(f"W{i}", element, weights.shape, upper.tobytes(), raw=True))
            else:
                constant(f"W{i}", weights)
            nodes.append(helper.make_node("MatMul", [data, f"W{i}"], [made]))
        data = made
    ports = [[helper.make_tensor_value_info(name, element, ["N", width])] for name, width in (("x", widths[0]), ("y", widths[-1]))]
    return helper.make_model(helper.make_graph(nodes, "layer", *ports, constants), ir_version=8,
                             opset_imports=[helper.make_opsetid("", 13)])


def write_layers(folder):
    for below in ("layers", "memory"):
        (folder / below).mkdir(parents=True, exist_ok=True)
    for seed, (inputs, outputs, dtype) in enumerate(LAYERS):
        onnx.save(layer([inputs, outputs], dtype, seed), folder / "layers" / f"{inputs}x{outputs} {dtype}.onnx")
    onnx.save(layer(FROM_MEMORY, "float32", 0), folder / "memory" / f"{FROM_MEMORY[0]}x{len(FROM_MEMORY) - 1} float32.onnx")


def write_networks(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, (widths, activation)) in enumerate(NETWORKS.items()):
        for order in ("before", "after"):
            model = network(widths, activation, order, seed)
            onnx.save(model, folder / f"{name} {activation.lower()}, BN {order}.onnx")


if __name__ == "__main__":
    write_networks(pathlib.Path(sys.argv[1]))
    write_layers(pathlib.Path(sys.argv[1]))
