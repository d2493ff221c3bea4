"""Small models for the tests of the bindings."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NUMBERS = np.random.default_rng(1)


def dense_network(widths=(64, 32, 32, 10)):
    """x[N,K] -> Gemm -> BatchNormalization -> Relu -> ... -> y[N,M]"""
    nodes, constants, value = [], [], "x"

    def constant(name, array):
        constants.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    for i, (inputs, units) in enumerate(zip(widths, widths[1:])):
        last = i == len(widths) - 2
        W = constant(f"W{i}", NUMBERS.standard_normal((inputs, units)) / np.sqrt(inputs))
        nodes.append(helper.make_node("Gemm", [value, W, constant(f"b{i}", NUMBERS.standard_normal(units))],
                                      ["y" if last else f"h{i}"], name=f"fc{i}"))
        if not last:
            parameters = [constant(f"{name}{i}", NUMBERS.random(units) + 0.5) for name in ("scale", "B", "mean", "var")]
            nodes.append(helper.make_node("BatchNormalization", [f"h{i}", *parameters], [f"n{i}"], name=f"bn{i}"))
            nodes.append(helper.make_node("Relu", [f"n{i}"], [f"r{i}"]))
            value = f"r{i}"
    return model(nodes, {"x": (TensorProto.FLOAT, ["N", widths[0]])}, {"y": (TensorProto.FLOAT, ["N", widths[-1]])}, constants)


def convolution(C, M):
    """x[N,C,24,24] -> Conv of 3x3 taps -> y[N,M,24,24]"""
    W = numpy_helper.from_array((NUMBERS.standard_normal((M, C, 3, 3)) / np.sqrt(9 * C)).astype(np.float32), "W")
    return model([helper.make_node("Conv", ["x", "W"], ["y"], pads=[1, 1, 1, 1])],
                 {"x": (TensorProto.FLOAT, ["N", C, 24, 24])}, {"y": (TensorProto.FLOAT, ["N", M, 24, 24])}, [W])


def model(nodes, inputs, outputs, constants=(), opset=13, **properties):
    graph = helper.make_graph(nodes, "graph", [helper.make_tensor_value_info(name, *type) for name, type in inputs.items()],
                              [helper.make_tensor_value_info(name, *type) for name, type in outputs.items()], list(constants))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=opsets, producer_name="tests")
    made.ir_version = 8
    helper.set_model_props(made, properties)
    return made


def zipped_classifier(labels):
    """What scikit-learn's converters write: a label and a sequence of maps from label to probability."""
    kind = "strings" if isinstance(labels[0], str) else "int64s"
    nodes = [helper.make_node("LinearClassifier", ["X"], ["label", "scores"], domain="ai.onnx.ml", post_transform="SOFTMAX",
                              coefficients=[1.0, 0.0, 0.0, 1.0, -1.0, -1.0], intercepts=[0.0, 0.5, 1.0],
                              **{f"classlabels_{'strings' if kind == 'strings' else 'ints'}": labels}),
             helper.make_node("ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", **{f"classlabels_{kind}": labels})]
    label_type = TensorProto.STRING if kind == "strings" else TensorProto.INT64
    made = model(nodes, {"X": (TensorProto.FLOAT, [None, 2])}, {"label": (label_type, [None])})
    maps = onnx.ValueInfoProto(name="probabilities")
    maps.type.sequence_type.elem_type.map_type.key_type = label_type
    maps.type.sequence_type.elem_type.map_type.value_type.tensor_type.elem_type = TensorProto.FLOAT
    made.graph.output.append(maps)
    return made
