"""Networks of images whose maps meet shapes, copies, sums and operators that do nothing on their way to a layer."""

import typing

import numpy as np

from case import ROWS, Case, Draw, Graph, Norm, relu

INT64_MAX = np.iinfo(np.int64).max


class Pointwise(typing.NamedTuple):
    """A convolution of 1x1."""
    W: np.ndarray  # [K, N]
    b: np.ndarray  # [N]

    def __call__(self, x):
        return np.einsum("nkhw,km->nmhw", x, self.W) + self.b[:, None, None]


class ImageNorm(typing.NamedTuple):
    """BatchNormalization over axis 1."""
    norm: Norm

    def __call__(self, x):
        return np.moveaxis(self.norm(np.moveaxis(x, 1, -1)), -1, 1)


class Net:
    """x[N,3,6,6] and what is drawn for the layers behind it."""

    def __init__(self, seed, opset=13):
        self.draw = Draw(seed)
        self.g = Graph("gallery", opset=opset, ir=7 if opset < 15 else 8)
        self.x = self.draw.normal(ROWS, 3, 6, 6)

    def conv(self, name, data, inputs, outputs, **output):
        layer = Pointwise(*self.draw.dense(inputs, outputs))
        return layer, self.g.op("Conv", name, data, layer.W.T[:, :, None, None].copy(), layer.b, kernel_shape=[1, 1],
                                **output)

    def gemm(self, name, data, inputs, outputs, **output):
        layer = self.draw.dense(inputs, outputs)
        return layer, self.g.op("Gemm", name, data, layer.W, layer.b, **output)

    def bn(self, name, data, channels, **output):
        norm = self.draw.norm(channels)
        return ImageNorm(norm), self.g.op("BatchNormalization", name, data, *norm, **output)

    def view(self, data):
        """x.view(x.size(0), -1)"""
        rows = self.g.op("Gather", "rows", self.g.op("Shape", "shape", data), np.array(0), axis=0)
        target = self.g.op("Concat", "target", self.g.op("Unsqueeze", "list", rows, np.array([0])), np.array([-1]),
                           axis=0)
        return self.g.op("Reshape", "view", data, target)

    def case(self, y, remain, folded, shapes, **more):
        outputs = y if isinstance(y, dict) else {"y": y}
        return Case(self.g, {"x": self.x}, outputs, remain, folded, shapes=shapes, **more)


VIEW = "Shape Gather Unsqueeze Concat Reshape"


def view_of_a_normalised_layer(seed):
    """The head of every PyTorch tutorial."""
    n = Net(seed)
    conv, h = n.conv("conv", "x", 3, 4)
    bn, h = n.bn("bn", h, 4)
    fc, _ = n.gemm("fc", n.view(h), 144, 3, output="y")
    return n.case(fc(bn(conv(n.x)).reshape(ROWS, -1)), f"Conv {VIEW} Gemm", ["bn"], {"view": [144]})


def paddle_flatten(seed):
    """The rows are sliced from the shape; the activation keeps each of the maps on its side."""
    n = Net(seed, opset=11)
    conv, h = n.conv("Conv_0", "x", 3, 4)
    bn1, h = n.bn("BatchNormalization_0", h, 4)
    bn2, h = n.bn("BatchNormalization_1", n.g.op("Relu", "Relu_0", h), 4)
    rows = n.g.op("Slice", "Slice_0", n.g.op("Shape", "Shape_0", h), np.array([0]), np.array([1]), np.array([0]))
    target = n.g.op("Concat", "Concat_0", rows, np.array([-1]), axis=0)
    fc, _ = n.gemm("Gemm_0", n.g.op("Reshape", "Reshape_0", h, target), 144, 3, output="y")
    y = fc(bn2(relu(bn1(conv(n.x)))).reshape(ROWS, -1))
    return n.case(y, "Conv Relu Shape Slice Concat Reshape Gemm", ["BatchNormalization_0", "BatchNormalization_1"],
                  {"Reshape_0": [144]}, batch="DynamicDimension.0")


def view_of_a_normalised_input(seed):
    """The batch may have no name: it is as long in front of the view as behind it."""
    n = Net(seed)
    bn, h = n.bn("bn", "x", 3)
    fc, _ = n.gemm("fc", n.view(h), 108, 3, output="y")
    return n.case(fc(bn(n.x).reshape(ROWS, -1)), f"{VIEW} Gemm", ["bn"], {"bn": [3, 6, 6]}, batch=None)


def average_pool_behind_a_pad_of_nothing(seed):
    """avg_pool2d as torch writes it."""
    n = Net(seed)
    conv, h = n.conv("conv", "x", 3, 4)
    h = n.g.op("Pad", "pad", h, np.zeros(8, np.int64), np.array(0.0), mode="constant")
    h = n.g.op("AveragePool", "pool", h, kernel_shape=[2, 2], strides=[2, 2])
    bn, h = n.bn("bn", h, 4)
    n.g.op("Relu", "relu", h, output="y")
    pooled = conv(n.x).reshape(ROWS, 4, 3, 2, 3, 2).mean(axis=(3, 5))
    return n.case(relu(bn(pooled)), "Conv AveragePool Relu", ["bn"], {"pad": [4, 6, 6]})


def operators_that_do_nothing(seed):
    """Dropout and slices left over from training, a stack of one, sizes that were there already."""
    n = Net(seed)
    conv, h = n.conv("conv", "x", 3, 4)
    h = n.g.op("Dropout", "dropout", h, np.array(0.0), np.array(True))
    h = n.g.op("Slice", "slice", h, np.array([0]), np.array([INT64_MAX]), np.array([0]), np.array([1]))
    h = n.g.op("Expand", "expand", h, np.array([1, 1, 6, 6]))
    h = n.g.op("Tile", "tile", h, np.array([1, 1, 1, 1]))
    h = n.g.op("Concat", "concat", h, axis=1)
    h = n.g.op("Transpose", "transpose", h, perm=[0, 1, 2, 3])
    h = n.g.op("Resize", "resize", h, "", np.ones(4), mode="linear")
    bn, h = n.bn("bn", n.g.op("Cast", "cast", h, to=1), 4)
    n.g.op("Relu", "relu", h, output="y")
    return n.case(relu(bn(conv(n.x))), "Conv Relu", ["bn"], {"resize": [4, 6, 6]})


def upsample_to_a_size(seed):
    """interpolate(x, size=...): batch and channels are those of the value itself."""
    n = Net(seed)
    conv, h = n.conv("conv", "x", 3, 4)
    first = n.g.op("Slice", "first", n.g.op("Shape", "shape", h), np.array([0]), np.array([2]), np.array([0]))
    sizes = n.g.op("Concat", "sizes", first, np.array([12, 12]), axis=0)
    h = n.g.op("Resize", "resize", h, "", "", sizes, mode="nearest", coordinate_transformation_mode="asymmetric",
               nearest_mode="floor")
    bn, h = n.bn("bn", h, 4)
    n.g.op("Relu", "relu", h, output="y")
    return n.case(relu(bn(conv(n.x).repeat(2, axis=2).repeat(2, axis=3))), "Conv Shape Slice Concat Resize Relu",
                  ["bn"], {"resize": [4, 12, 12]})


def chunks(seed):
    """x[:, :3] and x[:, 3:], each normalised by itself."""
    n = Net(seed)
    conv, h = n.conv("conv", "x", 3, 8)
    parts = [n.g.op("Slice", name, h, np.array([start]), np.array([end]), np.array([1]))
             for name, start, end in (("front", 0, 3), ("back", 3, INT64_MAX))]
    front, a = n.bn("bn1", parts[0], 3)
    back, b = n.bn("bn2", parts[1], 5)
    n.g.op("Relu", "relu1", a, output="y")
    n.g.op("Relu", "relu2", b, output="z")
    h = conv(n.x)
    return n.case({"y": relu(front(h[:, :3])), "z": relu(back(h[:, 3:]))}, "Conv Slice Slice Relu Relu",
                  ["bn1", "bn2"], {"front": [3, 6, 6]})


def focus(seed):
    """Every second pixel of a normalised image becomes a channel."""
    n = Net(seed)
    mean, deviation = n.draw.between(-0.5, 0.5, 3, 1, 1), n.draw.between(0.5, 1.5, 3, 1, 1)
    h = n.g.op("Div", "div", n.g.op("Sub", "sub", "x", mean), deviation)
    corners = [(i, j) for j in range(2) for i in range(2)]
    parts = [n.g.op("Slice", f"slice{i}{j}", h, np.array([i, j]), np.array([INT64_MAX] * 2), np.array([2, 3]),
                    np.array([2, 2])) for i, j in corners]
    conv, _ = n.conv("conv", n.g.op("Concat", "join", *parts, axis=1), 12, 4, output="y")
    h = (n.x - mean) / deviation
    y = conv(np.concatenate([h[:, :, i::2, j::2] for i, j in corners], axis=1))
    return n.case(y, "Slice Slice Slice Slice Concat Conv", ["div"], {"join": [12, 3, 3]})


def pixel_shuffle(seed):
    n = Net(seed)
    conv, h = n.conv("conv", "x", 3, 8)
    bn, h = n.bn("bn", n.g.op("DepthToSpace", "shuffle", h, blocksize=2, mode="CRD"), 2)
    n.g.op("Relu", "relu", h, output="y")
    h = conv(n.x).reshape(ROWS, 2, 2, 2, 6, 6).transpose(0, 1, 4, 2, 5, 3).reshape(ROWS, 2, 12, 12)
    return n.case(relu(bn(h)), "Conv DepthToSpace Relu", ["bn"], {"shuffle": [2, 12, 12]})


def reflection_pad(seed):
    n = Net(seed)
    conv, h = n.conv("conv", "x", 3, 4)
    bn, h = n.bn("bn", n.g.op("Pad", "pad", h, np.array([0, 0, 1, 2, 0, 0, 1, 2]), mode="reflect"), 4)
    n.g.op("Relu", "relu", h, output="y")
    h = np.pad(conv(n.x), [(0, 0), (0, 0), (1, 1), (2, 2)], mode="reflect")
    return n.case(relu(bn(h)), "Conv Pad Relu", ["bn"], {"pad": [4, 8, 10]})


def flip(seed):
    """Seen from both sides, the channels in another order."""
    n = Net(seed)
    conv, h = n.conv("conv", "x", 3, 4)
    h = n.g.op("Slice", "flip", h, np.array([-1]), np.array([-INT64_MAX]), np.array([3]), np.array([-1]))
    bn, h = n.bn("bn", n.g.op("Gather", "order", h, np.array([2, 0, 3, 1]), axis=1), 4)
    n.g.op("Relu", "relu", h, output="y")
    return n.case(relu(bn(conv(n.x)[:, [2, 0, 3, 1], :, ::-1])), "Conv Slice Gather Relu", ["bn"],
                  {"flip": [4, 6, 6]})


def sum_of_the_plane(seed):
    """The shift of a map in front of a sum counts as often as there are pixels."""
    n = Net(seed)
    conv, h = n.conv("conv", "x", 3, 4)
    bn, h = n.bn("bn", n.g.op("ReduceSum", "sum", h, np.array([2, 3]), keepdims=0), 4)
    n.g.op("Relu", "relu", h, output="y")
    return n.case(relu(bn.norm(conv(n.x).sum(axis=(2, 3)))), "Conv ReduceSum Relu", ["bn"], {"sum": [4]})


GALLERY = {f"routes_{make.__name__}": make
           for make in (view_of_a_normalised_layer, paddle_flatten, view_of_a_normalised_input,
                        average_pool_behind_a_pad_of_nothing, operators_that_do_nothing, upsample_to_a_size, chunks,
                        focus, pixel_shuffle, reflection_pad, flip, sum_of_the_plane)}
