"""Valid models that no engine without these operators can run, and the words a refusal must have."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT8E4M3FN = 17  # newer than Debian's onnx


def one_node(node, opsets, dtype=TensorProto.FLOAT, out=None):
    def model():
        value = helper.make_tensor_value_info
        graph = helper.make_graph([node], "graph", [value("x", dtype, ["N", 4])], [value("y", out or dtype, ["N", 4])],
                                  [numpy_helper.from_array(np.eye(4, dtype=np.float32), "W")])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid(*o) for o in opsets], ir_version=8)

    return model


GALLERY = {
    "unknown_operator": (
        one_node(helper.make_node("Frobnicate", ["x"], ["y"], name="odd"), [("", 17)]),
        ["'odd'", "Frobnicate", "17"]),
    "unknown_domain": (
        one_node(helper.make_node("FusedMatMul", ["x", "W"], ["y"], name="fused", domain="com.microsoft"),
                 [("", 13), ("com.microsoft", 1)]),
        ["'fused'", "FusedMatMul", "'com.microsoft'", "opset 1"]),
    "attribute_of_another_version": (
        one_node(helper.make_node("Relu", ["x"], ["y"], name="old", consumed_inputs=[0]), [("", 14)]),
        ["'old'", "Relu", "consumed_inputs", "14"]),
    "unsupported_type": (
        one_node(helper.make_node("Cast", ["x"], ["y"], name="shorten", to=FLOAT8E4M3FN), [("", 19)],
                 out=FLOAT8E4M3FN),
        ["'shorten'", "Cast", "19"]),
    "unsupported_input": (
        one_node(helper.make_node("Cast", ["x"], ["y"], name="widen", to=TensorProto.FLOAT), [("", 19)], FLOAT8E4M3FN,
                 out=TensorProto.FLOAT),
        ["'x'", "17"]),
}
