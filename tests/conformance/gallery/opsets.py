"""What opsets 18 to 23 changed, next to a BatchNormalization: attributes that became inputs, and new operators."""

import math

import numpy as np
from onnx import TensorProto

from case import ROWS, Case, Draw, Graph, relu

erf = np.vectorize(math.erf)


def sandwich(opset, ir, op_type, activation, **attributes):
    """Dense, BatchNormalization, a new operator, Dense."""
    def case(seed):
        draw = Draw(seed)
        x, fc1, bn, fc2 = draw.normal(ROWS, 6), draw.dense(6, 8), draw.norm(8), draw.dense(8, 3)
        g = Graph("gallery", opset=opset, ir=ir)
        h = g.op("BatchNormalization", "bn", g.op("Gemm", "fc1", "x", fc1.W, fc1.b), *bn)
        g.op("Gemm", "fc2", g.op(op_type, "new", h, **attributes), fc2.W, fc2.b, output="y")
        return Case(g, {"x": x}, {"y": fc2(activation(bn(fc1(x))))}, f"Gemm {op_type} Gemm", ["bn"],
                    shapes={"new": [8]})

    return case


def reduce_axes(seed):
    """18: the axes of every reduction are an input. Features are centred and divided by their mean size."""
    draw = Draw(seed)
    x, fc1, bn = draw.normal(ROWS, 6), draw.dense(6, 8), draw.norm(8)
    g = Graph("gallery", opset=18, ir=8)
    h = g.op("Relu", "relu", g.op("BatchNormalization", "bn", g.op("Gemm", "fc1", "x", fc1.W, fc1.b), *bn))
    axes = np.array([-1])
    h = g.op("Sub", "centre", h, g.op("ReduceMean", "mean", h, axes, keepdims=1))
    h = g.op("Div", "scale", h, g.op("ReduceL2", "norm", h, axes, keepdims=1))
    g.op("ReduceMax", "max", h, axes, output="y", keepdims=0)
    y = relu(bn(fc1(x)))
    y = y - y.mean(axis=1, keepdims=True)
    y = (y / np.sqrt((y * y).sum(axis=1, keepdims=True))).max(axis=1)
    return Case(g, {"x": x}, {"y": y}, "Gemm Relu ReduceMean Sub ReduceL2 Div ReduceMax", ["bn"],
                shapes={"mean": [1], "max": []})


def split_num_outputs(seed):
    """18: Split into a number of parts, the last one smaller."""
    draw = Draw(seed)
    x, fc1, bn, fc2 = draw.normal(ROWS, 6), draw.dense(6, 8), draw.norm(8), draw.dense(8, 3)
    g = Graph("gallery", opset=18, ir=8)
    h = g.op("BatchNormalization", "bn", g.op("Gemm", "fc1", "x", fc1.W, fc1.b), *bn)
    a, b, c = g.op("Split", "split", h, output=["a", "b", "c"], axis=1, num_outputs=3)
    h = g.op("Concat", "join", g.op("Tanh", "tanh", c), a, g.op("Relu", "relu", b), axis=1)
    g.op("Gemm", "fc2", h, fc2.W, fc2.b, output="y")
    y = bn(fc1(x))
    y = fc2(np.concatenate([np.tanh(y[:, 6:]), y[:, :3], relu(y[:, 3:6])], axis=1))
    return Case(g, {"x": x}, {"y": y}, "Gemm Split Tanh Relu Concat Gemm", ["bn"],
                shapes={"split": [3], "tanh": [2], "join": [8]})


def cast_saturate(seed):
    """19: Cast has saturate."""
    draw = Draw(seed)
    x, fc1, bn = draw.normal(ROWS, 6), draw.dense(6, 8), draw.norm(8)
    x = np.rint(x * 3).astype(np.int64)
    g = Graph("gallery", opset=19, ir=9)
    h = g.op("Cast", "to_float", "x", to=TensorProto.FLOAT, saturate=1)
    h = g.op("BatchNormalization", "bn", g.op("Gemm", "fc1", h, fc1.W, fc1.b), *bn)
    h = g.op("Cast", "same_type", h, to=TensorProto.FLOAT, saturate=1)
    g.op("Relu", "relu", h, output="y")
    return Case(g, {"x": x}, {"y": relu(bn(fc1(x)))}, "Cast Gemm Relu", ["bn"], shapes={"to_float": [6]})


def group_normalization(seed):
    """21: GroupNormalization takes scale and bias per channel."""
    draw = Draw(seed)
    x, fc1, bn, fc2 = draw.normal(ROWS, 4, 5), draw.dense(5, 6), draw.norm(6), draw.dense(6, 3)
    s, t = bn.as_mul_add()
    scale, bias = draw.between(0.5, 1.5, 4), draw.normal(4)
    g = Graph("gallery", opset=21, ir=10)
    h = g.op("MatMul", "fc1", "x", fc1.W)
    h = g.op("Add", "bn/add", g.op("Mul", "bn", h, s), t)
    h = g.op("GroupNormalization", "group", h, scale, bias, num_groups=2, epsilon=1e-3)
    g.op("Add", "fc2/add", g.op("MatMul", "fc2", h, fc2.W), fc2.b, output="y")
    groups = (s * (x @ fc1.W) + t).reshape(ROWS, 2, 12)
    centred = groups - groups.mean(axis=2, keepdims=True)
    groups = centred / np.sqrt((centred * centred).mean(axis=2, keepdims=True) + 1e-3)
    y = fc2(groups.reshape(ROWS, 4, 6) * scale[:, None] + bias[:, None])
    return Case(g, {"x": x}, {"y": y}, "MatMul Add GroupNormalization MatMul Add", ["bn"],
                shapes={"fc1": [4, 6], "group": [4, 6]})


def rms_normalization(seed):
    """23: RMSNormalization."""
    draw = Draw(seed)
    x, fc1, bn, fc2 = draw.normal(ROWS, 6), draw.dense(6, 8), draw.norm(8), draw.dense(8, 3)
    scale = draw.between(0.5, 1.5, 8)
    g = Graph("gallery", opset=23, ir=11)
    h = g.op("BatchNormalization", "bn", g.op("Gemm", "fc1", "x", fc1.W, fc1.b), *bn)
    h = g.op("RMSNormalization", "rms", h, scale, axis=-1, epsilon=1e-5)
    g.op("Gemm", "fc2", h, fc2.W, fc2.b, output="y")
    h = bn(fc1(x))
    y = fc2(h / np.sqrt((h * h).mean(axis=1, keepdims=True) + 1e-5) * scale)
    return Case(g, {"x": x}, {"y": y}, "Gemm RMSNormalization Gemm", ["bn"], shapes={"rms": [8]})


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


GALLERY = {
    "opset18_reduce_axes": reduce_axes,
    "opset18_split_num_outputs": split_num_outputs,
    "opset18_mish": sandwich(18, 8, "Mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "opset19_cast_saturate": cast_saturate,
    "opset20_gelu": sandwich(20, 9, "Gelu", gelu),
    "opset20_gelu_tanh": sandwich(20, 9, "Gelu", gelu_tanh, approximate="tanh"),
    "opset21_group_normalization": group_normalization,
    "opset22_hard_swish": sandwich(22, 10, "HardSwish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "opset23_rms_normalization": rms_normalization,
}
