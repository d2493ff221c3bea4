"""Models in QDQ form, as quantisers write them: qdq_models.py FOLDER [NAME...] writes them as NAME.onnx."""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A network that is written as it is quantised: every value is rounded to bytes in front of its readers."""

    def __init__(self, shape, seed=1, activations=np.uint8):
        self.draw = np.random.default_rng(seed)
        self.nodes, self.constants = [], []
        self.activations = activations
        self.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])
        self.shape = shape
        self.step = None

    def op(self, kind, *inputs, **attributes):
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, array):
        name = f"c_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def rounded(self, x, step, zero=None):
        """QuantizeLinear and DequantizeLinear, with a zero point in the middle unless told otherwise."""
        zero = (128 if self.activations == np.uint8 else 0) if zero is None else zero
        scale = self.constant(np.float32(step))
        point = self.constant(self.activations(zero))
        self.step = step
        return self.op("DequantizeLinear", self.op("QuantizeLinear", x, scale, point), scale, point)

    def weights(self, shape, axis, per_channel=True):
        """The dequantised weights, and their scales."""
        bound = np.float32(2.0 / np.sqrt(np.prod(shape) / shape[axis]))
        scales = (self.draw.uniform(0.5, 1, shape[axis] if per_channel else ()) * bound / 127).astype(np.float32)
        q = self.constant(self.draw.integers(-127, 128, shape, dtype=np.int8))
        zero = self.constant(np.zeros(scales.shape, np.int8))
        return self.op("DequantizeLinear", q, self.constant(scales), zero, **({"axis": axis} if per_channel else {})), scales

    def bias(self, scales, step, count):
        steps = np.broadcast_to(np.float32(step) * scales, count).astype(np.float32)
        q = np.round(self.draw.uniform(-1, 1, count) / steps).astype(np.int32)
        return self.op("DequantizeLinear", self.constant(q), self.constant(steps), axis=0)

    def layer(self, kind, x, shape, axis, step, bend="Relu", per_channel=True, **attributes):
        """A layer whose result is rounded to `step`."""
        step_in = self.step
        w, scales = self.weights(shape, axis, per_channel)
        y = self.op(kind, x, w, self.bias(scales, step_in, shape[axis]), **attributes)
        if bend:
            bounds = [self.constant(np.float32(0)), self.constant(np.float32(6))] if bend == "Clip" else []
            y = self.op(bend, y, *bounds)
        return self.rounded(y, step, 0 if bend and self.activations == np.uint8 else None)

    def model(self, y):
        graph = helper.make_graph(self.nodes, "qdq", [self.input], [helper.make_empty_tensor_value_info(y)], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 8
        return onnx.shape_inference.infer_shapes(model)


def gemm(width=96, **options):
    net = Net((width,), **options)
    x = net.rounded("x", 0.02)
    return net.model(net.layer("Gemm", x, (width, width), 0, 0.05, transB=1)), net


def words():
    net = Net((7, 48))
    x = net.rounded("x", 0.02)
    w, _ = net.weights((48, 33), 1)
    y = net.op("Add", net.op("MatMul", x, w), net.constant(net.draw.normal(size=33).astype(np.float32)))
    return net.model(net.rounded(y, 0.04)), net


def floats():
    net = Net((48,), activations=np.int8)
    x = net.rounded("x", 0.02)
    w, scales = net.weights((48, 10), 1, per_channel=False)
    y = net.op("Gemm", x, w, net.bias(scales, 0.02, 10))
    net.step = 1e-5
    return net.model(y), net


def blocks(channels=16, size=14, count=2, classes=10, **options):
    """Residual blocks, a depthwise convolution, and a layer behind the mean."""
    net = Net((3, size, size), **options)
    x = net.layer("Conv", net.rounded("x", 0.02), (channels, 3, 3, 3), 0, 0.03, pads=[1, 1, 1, 1])
    for _ in range(count):
        shape = (channels, channels, 3, 3)
        h = net.layer("Conv", x, shape, 0, 0.04, pads=[1, 1, 1, 1])
        h = net.layer("Conv", h, shape, 0, 0.05, bend=None, pads=[1, 1, 1, 1])
        x = net.rounded(net.op("Relu", net.op("Add", h, x)), 0.05, 0)
    x = net.layer("Conv", x, (channels, 1, 3, 3), 0, 0.05, group=channels, strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.layer("Conv", x, (2 * channels, channels, 1, 1), 0, 0.05)
    step = net.step
    x = net.rounded(net.op("Flatten", net.op("GlobalAveragePool", x)), step, 0)
    return net.model(net.layer("Gemm", x, (classes, 2 * channels), 0, 0.05, bend=None, transB=1)), net


def inverted(channels=12, size=12, count=2, **options):
    """Inverted residual blocks (Sandler et al., MobileNetV2, 2018), with Relu6 as Clip."""
    net = Net((channels, size, size), **options)
    x = net.rounded("x", 0.02)
    for _ in range(count):
        wide = 6 * channels
        h = net.layer("Conv", x, (wide, channels, 1, 1), 0, 6 / 255, bend="Clip")
        h = net.layer("Conv", h, (wide, 1, 3, 3), 0, 6 / 255, bend="Clip", group=wide, pads=[1, 1, 1, 1])
        h = net.layer("Conv", h, (channels, wide, 1, 1), 0, 0.03, bend=None)
        x = net.rounded(net.op("Add", h, x), 0.04)
    return net.model(net.op("GlobalAveragePool", x)), net


# name: the model, how many steps its numbers may lie off where sums are rounded otherwise: those of a network a few, since
# a number beside a tie may become its neighbour
MODELS = {
    "gemm": (gemm, 1),
    "gemm_int8": (lambda: gemm(activations=np.int8), 1),
    "words": (words, 1),
    "floats": (floats, 1),
    "blocks": (blocks, 2),
    "inverted": (inverted, 2),
    "gemm_1024": (lambda: gemm(1024), 1),
    "blocks_64": (lambda: blocks(64, 56, 4, 1000), 2),
    "inverted_24": (lambda: inverted(24, 56, 4), 2),
}


def main(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or MODELS:
        onnx.save(MODELS[name][0]()[0], str(folder / f"{name}.onnx"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
