"""Networks of the sizes that people bring, with random weights: `networks.py FOLDER` writes them, folds each and prints times."""

import pathlib
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from programs import PROGRAMS


class Network:
    """A chain of layers; `value` is the last output."""

    def __init__(self, dims, dtype=np.float32, seed=1):
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.nodes, self.constants = [], []
        self.dims, self.value = dims, "x"

    def constant(self, array, dtype=None):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype or self.dtype), name))
        return name

    def add(self, op_type, *inputs, **attributes):
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, [self.value, *inputs], [output], name=f"{op_type}_{output}", **attributes))
        self.value = output
        return self

    def norm(self, channels):
        between = self.rng.uniform
        return self.add("BatchNormalization", *(self.constant(p) for p in (
            between(.5, 1.5, channels), between(-.2, .2, channels), between(-.2, .2, channels), between(.5, 1.5, channels))))

    def conv(self, K, N, size, stride=1, pad=None):
        W = self.constant(self.rng.standard_normal((N, K, *size), np.float32) * np.sqrt(2 / (K * np.prod(size))))
        pads = [s // 2 for s in size] if pad is None else list(pad)
        stride = stride if isinstance(stride, tuple) else (stride,) * len(size)
        return self.add("Conv", W, strides=list(stride), pads=pads * 2).norm(N).add("Relu")

    def dense(self, K, N):
        W = self.constant(self.rng.standard_normal((K, N), np.float32) / np.sqrt(K))
        return self.add("Gemm", W, self.constant(self.rng.uniform(-.1, .1, N)))

    def linear(self, K, N):
        """As torch exports Linear behind LayerNorm: MatMul and Add."""
        W = self.constant(self.rng.standard_normal((K, N), np.float32) / np.sqrt(K))
        return self.add("MatMul", W).add("Add", self.constant(self.rng.uniform(-.1, .1, N)))

    def model(self, opset=17):
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype)) if hasattr(helper, "np_dtype_to_tensor_dtype") else {
            np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16}[self.dtype]
        graph = helper.make_graph(self.nodes, "network", [helper.make_tensor_value_info("x", dtype, self.dims)],
                                  [helper.make_tensor_value_info(self.value, dtype, None)], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def text_line_classifier():
    """Upside down or not: any batch, but 48 x 192 pixels, which only the width of the last layer tells."""
    net = Network(["N", 3, "H", "W"])
    for K, N in ((3, 8), (8, 16), (16, 32), (32, 32)):
        net.conv(K, N, (3, 3), 2)
    return net.add("Reshape", net.constant([-1, 32 * 3 * 12], np.int64)).dense(32 * 3 * 12, 2).add("Softmax").model()


def mel_front_end():
    """Samples of sound, in frames of 400; the number of frames is open, at least one."""
    net = Network(["N", "samples"])
    net.add("Unsqueeze", net.constant([1], np.int64))
    net.add("Conv", net.constant(net.rng.standard_normal((128, 1, 400)) / 20), strides=[160])
    net.add("Mul", net.value).add("Conv", net.constant(np.abs(net.rng.standard_normal((40, 128, 1))))).add("Add", net.constant(1e-6))
    net.add("Log").norm(40)
    return net.conv(40, 32, (3,)).conv(32, 32, (3,)).add("GlobalAveragePool").add("Flatten").dense(32, 12).model()


def recogniser():
    """Text lines 48 pixels high: convolutions, then LayerNorm, attention-free mixing, a softmax per column."""
    net = Network(["N", 3, 48, "W"])
    net.conv(3, 16, (3, 3), 2).conv(16, 32, (3, 3), (2, 1)).conv(32, 64, (3, 3), (2, 1)).conv(64, 64, (6, 1), 1, (0, 0))
    net.add("Squeeze", net.constant([2], np.int64)).add("Transpose", perm=[0, 2, 1])
    for _ in range(2):
        before = net.value
        net.add("LayerNormalization", net.constant(net.rng.uniform(.5, 1.5, 64)), net.constant(net.rng.uniform(-.2, .2, 64)), axis=-1)
        net.linear(64, 128).add("Sigmoid").linear(128, 64).add("Add", before)
    return net.linear(64, 500).add("Softmax", axis=-1).model()


def vgg11(side=224):
    net = Network(["N", 3, side, side])
    K = 3
    for N in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
        if N == "M":
            net.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        else:
            net.conv(K, N, (3, 3))
            K = N
    last = side // 32
    return net.add("Flatten").dense(512 * last * last, 4096).add("Relu").dense(4096, 4096).add("Relu").dense(4096, 1000).model()


def segmentation(side=512):
    net = Network(["N", 3, side, side], np.float16)
    net.conv(3, 16, (3, 3), 2).conv(16, 32, (3, 3), 2).conv(32, 64, (3, 3), 2).conv(64, 64, (3, 3)).conv(64, 64, (3, 3))
    W = net.constant(net.rng.standard_normal((21, 64, 1, 1)) / 8)
    net.add("Conv", W)
    return net.add("Resize", "", net.constant([1, 1, 8, 8], np.float32), mode="linear").model()


NETWORKS = {"text_line_classifier": text_line_classifier, "mel_front_end": mel_front_end, "recogniser": recogniser,
            "vgg11": vgg11, "segmentation": segmentation}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in NETWORKS.items():
        path = folder / f"{name}.onnx"
        onnx.save(make(), str(path))
        start = time.perf_counter()
        result = subprocess.run([PROGRAMS / "bnfold", path, "-o", folder / f"{name}_folded.onnx"], capture_output=True, text=True)
        seconds = time.perf_counter() - start
        normalisations = [line for line in result.stdout.splitlines() if line.startswith(("folded", "declined"))]
        print(f"{name}: exit {result.returncode}, {seconds:.1f} s, "
              f"{sum(line.startswith('folded') for line in normalisations)} of {len(normalisations)} folded")
        print("".join(f"  {line}\n" for line in [*result.stdout.split("output ")[-1].splitlines()[-4:], *result.stderr.splitlines()]))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
