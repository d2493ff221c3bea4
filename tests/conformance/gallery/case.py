"""What a model of the gallery is made of: layers, which are also their own reference in double, and the graph."""

import collections
import dataclasses
import typing

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

ROWS = 5
BATCH_NORMALIZATION_EPSILON = 1e-5


class Dense(typing.NamedTuple):
    W: np.ndarray  # [K, N]
    b: np.ndarray  # [N]

    def __call__(self, x):
        return x @ self.W + self.b


class Norm(typing.NamedTuple):
    """BatchNormalization at inference over the last axis."""
    scale: np.ndarray
    B: np.ndarray
    mean: np.ndarray
    var: np.ndarray

    def __call__(self, x, epsilon=BATCH_NORMALIZATION_EPSILON):
        return (x - self.mean) / np.sqrt(self.var + epsilon) * self.scale + self.B

    def as_mul_add(self, epsilon=BATCH_NORMALIZATION_EPSILON):
        """s and t of y = s*x + t."""
        s = self.scale / np.sqrt(self.var + epsilon)
        return as_float32(s), as_float32(self.B - self.mean * s)


def as_float32(array):
    """Doubles that float32 holds exactly, so that the model and its reference have the same parameters."""
    return np.asarray(array).astype(np.float32).astype(np.float64)


class Draw:
    """Parameters and inputs from one seed."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape):
        return as_float32(self.rng.normal(size=shape))

    def between(self, low, high, *shape):
        return as_float32(self.rng.uniform(low, high, shape))

    def dense(self, K, N):
        return Dense(as_float32(self.rng.normal(size=(K, N)) / np.sqrt(K)), self.normal(N))

    def norm(self, channels):
        """Scales of both signs, and one channel whose variance is so small that every digit of epsilon counts."""
        bn = Norm(self.between(0.5, 1.5, channels) * np.where(np.arange(channels) % 3 == 1, -1.0, 1.0),
                  self.normal(channels), self.normal(channels), self.between(0.2, 2.0, channels))
        bn.scale[0], bn.var[0] = as_float32(0.02), as_float32(1e-4)
        return bn


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Graph:
    """Nodes in the order of the exporter. Arrays among the inputs of a node become constants in its manner:

    initializers   raw bytes
    inputs         float_data, and each is a graph input too
    nodes          a Constant node each
    identity       an initializer behind an Identity node
    """

    def __init__(self, producer, opset, ir, constants="initializers", ml=None):
        self.producer, self.opset, self.ir, self.constants = producer, opset, ir, constants
        self.opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid("ai.onnx.ml", ml)] if ml else [])
        self.nodes, self.initializers, self.also_inputs, self.functions = [], [], [], []

    def op(self, op_type, name, *inputs, output=None, **attributes):
        """Adds a node; its output's name, or the list of them where `output` is a list."""
        names = [x if isinstance(x, str) else self.constant(f"{name}.{i}", x) for i, x in enumerate(inputs)]
        outputs = output if isinstance(output, list) else [output or f"{name}_output_0"]
        self.nodes.append(helper.make_node(op_type, names, outputs, name=name, **attributes))
        return outputs if isinstance(output, list) else outputs[0]

    def function(self, domain, name, inputs, *nodes, attributes=()):
        """Adds a local function whose only output is y."""
        if domain not in [opset.domain for opset in self.opsets]:
            self.opsets.append(helper.make_opsetid(domain, 1))
        self.functions.append(helper.make_function(domain, name, inputs, ["y"], nodes, self.opsets[:1], attributes))

    def constant(self, name, value):
        array = np.asarray(value)
        tensor = numpy_helper.from_array(array.astype(np.float32) if array.dtype == np.float64 else array, name)
        if self.constants == "nodes":
            return self.op("Constant", f"{name}.node", output=name, value=tensor)
        if self.constants == "inputs" and array.dtype == np.float64:
            tensor = helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.flatten())
        self.initializers.append(tensor)
        if self.constants == "inputs":
            self.also_inputs.append(helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
        if self.constants == "identity":
            return self.op("Identity", f"{name}.copy", name)
        return name


@dataclasses.dataclass
class Case:
    graph: Graph
    inputs: dict  # name -> array
    outputs: dict
    remain: str  # operators of the folded model, in any order
    folded: list  # names of what is reported as folded; a chain of nodes goes by the first that scales
    declined: dict = dataclasses.field(default_factory=dict)  # name -> reason
    shapes: dict = dataclasses.field(default_factory=dict)  # node -> dimensions that inference finds after the batch
    batch: object = "batch"  # name or number of the first dimension; None: neither, -1: as some write it
    external: bool = False
    maps: tuple = ()  # outputs that are sequences of maps

    @staticmethod
    def stored(array):
        return array.astype(np.float32) if array.dtype == np.float64 else array

    def value_info(self, name, array):
        stored = self.stored(array)
        dtype = helper.mapping.NP_TYPE_TO_TENSOR_TYPE[stored.dtype]
        if name in self.maps:
            info = ValueInfoProto(name=name)
            row = info.type.sequence_type.elem_type.map_type
            row.key_type = TensorProto.INT64
            row.value_type.tensor_type.elem_type = dtype
            return info
        return helper.make_tensor_value_info(name, dtype, [self.batch, *stored.shape[1:]])

    def model(self):
        g = self.graph
        inputs = [self.value_info(name, array) for name, array in self.inputs.items()]
        outputs = [self.value_info(name, array) for name, array in self.outputs.items()]
        graph = helper.make_graph(g.nodes, "graph", inputs + g.also_inputs, outputs, g.initializers)
        return helper.make_model(graph, opset_imports=g.opsets, ir_version=g.ir, producer_name=g.producer,
                                 functions=g.functions)

    def expectation(self):
        named = isinstance(self.batch, str) or (self.batch is not None and self.batch > 0)
        return {
            "operators": dict(collections.Counter(self.remain.split())),
            "folded": sorted(self.folded),
            "declined": self.declined,
            "shapes": {node: [self.batch if named else "?", *dims] for node, dims in self.shapes.items()},
            "external": self.external,
        }
