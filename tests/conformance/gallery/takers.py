"""Networks in which only a part of a map can go, or into other operators than Gemm, MatMul and Conv."""

import numpy as np
from branches import gemm, norm
from case import ROWS, Case, Draw, Graph, as_float32, relu, softmax


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer_norm(x, scale, B, epsilon=1e-5):
    d = x - x.mean(axis=-1, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + epsilon) * scale + B


def gated(seed):
    """A gate as in squeeze-and-excitation, and a BatchNormalization behind the product: its shift stays."""
    draw = Draw(seed)
    x, fc, gate, bn, head = draw.normal(ROWS, 6), draw.dense(6, 5), draw.dense(6, 5), draw.norm(5), draw.dense(5, 3)
    g = Graph("gallery", opset=13, ir=7)
    opened = g.op("Sigmoid", "sigmoid", gemm(g, "gate", "x", gate))
    product = g.op("Mul", "product", gemm(g, "fc", "x", fc), opened)
    gemm(g, "head", g.op("Tanh", "tanh", norm(g, "bn", product, bn)), head, output="y")
    y = head(np.tanh(bn(fc(x) * sigmoid(gate(x)))))
    return Case(g, {"x": x}, {"y": y}, "Gemm Gemm Sigmoid Mul Add Tanh Gemm", ["bn"],
                shapes={"product": [5]})


def convolution(x, W, pads):
    x = np.pad(x, [(0, 0), (0, 0), (pads, pads), (pads, pads)])
    rows, columns = x.shape[2] - W.shape[2] + 1, x.shape[3] - W.shape[3] + 1
    y = np.zeros((x.shape[0], W.shape[0], rows, columns))
    for i in range(W.shape[2]):
        for j in range(W.shape[3]):
            y += np.einsum("nchw,mc->nmhw", x[:, :, i:i + rows, j:j + columns], W[:, :, i, j])
    return y


def pre_activation(seed):
    """BatchNormalization in front of a convolution that pads, as published detectors have it: the shift stays."""
    draw = Draw(seed)
    x, W, bn = draw.normal(ROWS, 3, 4, 5), draw.normal(2, 3, 3, 3), draw.norm(3)
    g = Graph("gallery", opset=13, ir=7)
    h = g.op("BatchNormalization", "bn", g.op("Sigmoid", "sigmoid", "x"), *bn)
    g.op("Conv", "conv", h, W, output="y", pads=[1, 1, 1, 1])
    h = np.moveaxis(bn(np.moveaxis(sigmoid(x), 1, -1)), -1, 1)
    return Case(g, {"x": x}, {"y": convolution(h, W, 1)}, "Sigmoid Sub Conv", ["bn"], shapes={"conv": [2, 4, 5]})


def attention(seed):
    """A head of attention behind LayerNormalization: its scale and bias, and 1/sqrt(d), go into the layers."""
    draw = Draw(seed)
    x, scale, B = draw.normal(ROWS, 3, 4), draw.normal(4), draw.normal(4)
    q, k, v = (draw.dense(4, 4) for _ in range(3))
    g = Graph("gallery", opset=17, ir=8)
    h = g.op("LayerNormalization", "ln", "x", scale, B)
    linear = lambda name, layer: g.op("Add", f"{name}_bias", g.op("MatMul", name, h, layer.W), layer.b)
    scores = g.op("MatMul", "scores", linear("q", q), g.op("Transpose", "kT", linear("k", k), perm=[0, 2, 1]))
    weights = g.op("Softmax", "softmax", g.op("Div", "scaling", scores, np.array(2.0)), axis=-1)
    g.op("MatMul", "out", weights, linear("v", v), output="y")
    h = layer_norm(x, scale, B)
    y = softmax(q(h) @ np.swapaxes(k(h), 1, 2) / 2) @ v(h)
    return Case(g, {"x": x}, {"y": y},
                "LayerNormalization MatMul Add MatMul Add MatMul Add Transpose MatMul Softmax MatMul", ["scaling"],
                shapes={"scores": [3, 3]})


def layer_norm_in_operators(seed):
    """LayerNormalization as torch writes it below opset 17, in front of two layers."""
    draw = Draw(seed)
    x, scale, B, fc1, fc2 = draw.normal(ROWS, 3, 4), draw.normal(4), draw.normal(4), draw.dense(4, 3), draw.dense(4, 3)
    g = Graph("gallery", opset=13, ir=7)
    d = g.op("Sub", "d", "x", g.op("ReduceMean", "mean", "x", axes=[-1]))
    variance = g.op("ReduceMean", "variance", g.op("Pow", "square", d, np.array(2.0)), axes=[-1])
    deviation = g.op("Sqrt", "deviation", g.op("Add", "epsilon", variance, np.array(1e-5)))
    h = g.op("Add", "bias", g.op("Mul", "scale", g.op("Div", "normal", d, deviation), scale), B)
    for name, layer in (("fc1", fc1), ("fc2", fc2)):
        g.op("Add", f"{name}_bias", g.op("MatMul", name, h, layer.W), layer.b, output=f"y_{name}")
    h = layer_norm(x, scale, B)
    return Case(g, {"x": x}, {"y_fc1": fc1(h), "y_fc2": fc2(h)},
                "ReduceMean Sub Pow ReduceMean Add Sqrt Div MatMul Add MatMul Add", ["scale"],
                shapes={"bias": [3, 4]})


def einsum(seed):
    """Layers written as Einsum, with a scaler in front and a BatchNormalization behind."""
    draw = Draw(seed)
    x, fc, bn = draw.normal(ROWS, 4), draw.dense(4, 5), draw.norm(5)
    mean, deviation = draw.normal(4), draw.between(0.5, 2, 4)
    g = Graph("gallery", opset=13, ir=7)
    h = g.op("Div", "div", g.op("Sub", "sub", "x", mean), deviation)
    norm(g, "bn", g.op("Einsum", "fc", h, fc.W, equation="bk,kn->bn"), bn, output="y")
    y = bn(((x - mean) / deviation) @ fc.W)
    return Case(g, {"x": x}, {"y": y}, "Einsum Add", ["bn", "div"], shapes={"fc": [5]})


def scaled_regressor(seed):
    """StandardScaler and LinearRegression as sklearn-onnx writes them."""
    draw = Draw(seed)
    x, fc = draw.normal(ROWS, 4), draw.dense(4, 2)
    mean, scale = draw.normal(4), draw.between(0.5, 2, 4)
    g = Graph("gallery", opset=13, ir=7, ml=1)
    h = g.op("Scaler", "scaler", "x", domain="ai.onnx.ml", offset=mean.tolist(), scale=scale.tolist())
    g.op("LinearRegressor", "linear", h, domain="ai.onnx.ml", output="y", targets=2,
         coefficients=fc.W.T.flatten().tolist(), intercepts=fc.b.tolist())
    return Case(g, {"x": x}, {"y": fc((x - mean) * scale)}, "LinearRegressor", ["scaler"], shapes={"linear": [2]})


def steps(x, low=-128, high=127):
    """x in whole steps: integers and the size of a step for each column."""
    scale = as_float32(np.abs(x).max(axis=0) / high)
    return np.clip(np.round(x / scale), low, high), scale


def integer_weights(seed):
    """Weights in int8, one scale for each output: the map behind goes into the scales, and that in front stays."""
    draw = Draw(seed)
    x, fc1, bn, fc2 = draw.normal(ROWS, 4), draw.dense(4, 6), draw.norm(6), draw.dense(6, 3)
    factor = draw.between(0.5, 2, 6)
    g = Graph("gallery", opset=13, ir=7)
    (q1, scale1), (q2, scale2) = (steps(fc.W) for fc in (fc1, fc2))
    unpacked = lambda name, q, scale, axis: g.op("DequantizeLinear", name, q.astype(np.int8), scale,
                                                 np.zeros(len(scale), np.int8), axis=axis)
    h = g.op("Gemm", "fc1", "x", unpacked("W1", q1.T, scale1, 0), fc1.b, transB=1)
    h = g.op("Mul", "factor", g.op("Tanh", "tanh", norm(g, "bn", h, bn)), factor)
    g.op("Gemm", "fc2", h, unpacked("W2", q2, scale2, 1), fc2.b, output="y")
    y = np.tanh(bn(x @ (q1 * scale1) + fc1.b)) * factor @ (q2 * scale2) + fc2.b
    return Case(g, {"x": x}, {"y": y}, "DequantizeLinear Gemm Tanh Mul DequantizeLinear Gemm", ["bn"],
                {"factor": "axis_unproven"}, shapes={"fc1": [6]})


def integer_arithmetic(seed):
    """Bytes, divided by 255 and quantised again; a product of integers; a scaling behind it."""
    draw = Draw(seed)
    x = np.round(draw.between(0, 255, ROWS, 8))
    q, scale = steps(draw.dense(8, 5).W)
    out, factor = as_float32(0.05), draw.between(0.5, 2, 5)
    step = as_float32(1 / 255)
    g = Graph("gallery", opset=13, ir=7)
    zero, middle = (lambda dtype: np.zeros((), dtype)), np.array(128, np.uint8)
    h = g.op("QuantizeLinear", "quantize", g.op("Mul", "bytes", "x", step), step, zero(np.uint8))
    h = g.op("QLinearMatMul", "fc", h, step, zero(np.uint8), q.astype(np.int8), scale, np.zeros(5, np.int8), out,
             middle)
    h = g.op("DequantizeLinear", "dequantize", h, out, middle)
    g.op("Mul", "factor", g.op("Relu", "relu", h), factor, output="y")
    y = relu(np.clip(np.round(x @ q * step * scale / out), -128, 127) * out) * factor
    return Case(g, {"x": x}, {"y": y}, "QuantizeLinear QLinearMatMul DequantizeLinear Relu", ["bytes", "factor"],
                shapes={"relu": [5]})


GALLERY = {"integer_weights": integer_weights, "integer_arithmetic": integer_arithmetic, "gated": gated, "pre_activation": pre_activation, "attention": attention,
           "layer_norm_in_operators": layer_norm_in_operators, "einsum": einsum,
           "scaled_regressor": scaled_regressor}
