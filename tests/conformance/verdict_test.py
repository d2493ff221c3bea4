"""What `bnfold verify` says of folded models that are wrong in one way, and of those that are merely rounded otherwise."""

import concurrent.futures
import json
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import networks
from programs import ANSWER_IS_NO, DONE, MODELS, ProgramTest

GALLERY = json.loads((MODELS / "expectations.json").read_text())["models"]
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)


def initializers(model):
    return {tensor.name: tensor for tensor in model.graph.initializer}


def change(model, name, new):
    tensor = initializers(model)[name]
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(new, numpy_helper.to_array(tensor).dtype), name))


def batch_normalizations(model):
    """Those whose parameters are initializers of their own, with more than one channel."""
    known = initializers(model)
    for node in model.graph.node:
        if node.op_type == "BatchNormalization" and all(name in known for name in node.input[1:]):
            if len(set(node.input[1:])) == 4 and known[node.input[1]].dims[0] > 1:
                yield node


def forget_beta(model, node):
    beta = numpy_helper.to_array(initializers(model)[node.input[2]])
    change(model, node.input[2], np.zeros_like(beta))


def swap_means(model, node):
    mean = numpy_helper.to_array(initializers(model)[node.input[3]]).copy()
    mean[[0, -1]] = mean[[-1, 0]]
    change(model, node.input[3], mean)


def mistake_epsilon(model, node):
    if any(a.name == "epsilon" and abs(a.f - 1e-3) < 1e-6 for a in node.attribute):
        return
    kept = [a for a in node.attribute if a.name != "epsilon"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("epsilon", 1e-3)])


def mistake_channel(model, node):
    """The scale of the neighbouring channel, as where it lands on another axis."""
    change(model, node.input[1], np.roll(numpy_helper.to_array(initializers(model)[node.input[1]]), 1))


DEFECTS = (forget_beta, swap_means, mistake_epsilon, mistake_channel)


def weights(model):
    """Names of floating-point initializers of two axes or more, in order of use."""
    known = initializers(model)
    used = dict.fromkeys(name for node in model.graph.node for name in node.input if name in known)
    return [name for name in used if known[name].data_type in FLOATS and
            sum(extent > 1 for extent in known[name].dims) > 1 and
            known[name].data_location != TensorProto.EXTERNAL]


def enlarge_weight(model):
    """The largest weight of the middle layer, by a thousandth (in float16, by a twentieth)."""
    name = weights(model)[len(weights(model)) // 2]
    W = numpy_helper.to_array(initializers(model)[name]).copy()
    largest = np.unravel_index(np.argmax(np.abs(W)), W.shape)
    W[largest] *= 1.05 if W.dtype == np.float16 else 1.001
    change(model, name, W)


def move_weights(model):
    """Half of all weights by one unit in the last place."""
    rng = np.random.default_rng(7)
    for name in weights(model):
        W = numpy_helper.to_array(initializers(model)[name]).copy()
        towards = np.where(rng.random(W.shape) < 0.5, np.inf, -np.inf).astype(W.dtype)
        change(model, name, np.where(rng.random(W.shape) < 0.5, np.nextafter(W, towards), W))


def network(widths, activation, last, seed=3):
    """Gemm, BatchNormalization and activation for each width, Gemm and `last` at the end."""
    rng = np.random.default_rng(seed)
    nodes, constants, value = [], [], "x"

    def constant(name, array):
        constants.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    for i, (K, N) in enumerate(zip(widths, widths[1:])):
        W = constant(f"W{i}", rng.normal(size=(K, N)) * np.sqrt(2 / K))
        nodes.append(helper.make_node("Gemm", [value, W, constant(f"b{i}", rng.normal(size=N) / 10)], [f"h{i}"]))
        value = f"h{i}"
        if i + 2 == len(widths):
            break
        parameters = [constant(f"scale{i}", rng.uniform(.5, 1.5, N)), constant(f"B{i}", rng.normal(size=N) / 4),
                      constant(f"mean{i}", rng.normal(size=N) / 4), constant(f"var{i}", rng.uniform(.5, 1.5, N))]
        nodes.append(helper.make_node("BatchNormalization", [value, *parameters], [f"n{i}"]))
        nodes.append(helper.make_node(activation, [f"n{i}"], [f"a{i}"]))
        value = f"a{i}"
    nodes.append(helper.make_node(last, [value], ["y"]))
    graph = helper.make_graph(nodes, "network",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", widths[0]])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", widths[-1]])], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


NETWORKS = {
    "relu": network([256, 256, 256, 256, 10], "Relu", "Softmax"),
    "tanh": network([30, 128, 64, 1], "Tanh", "Sigmoid"),
    "sigmoid": network([100, 300, 100, 10], "Sigmoid", "Softmax"),
    "convolution": networks.Network(["N", 64, 8, 8]).conv(64, 64, (3, 3)).conv(64, 64, (3, 3)).model(),
}


class Verdict(ProgramTest):
    program = "bnfold"

    def setUp(self):
        super().setUp()
        self.models = dict(NETWORKS)
        for name in GALLERY:
            self.models[name] = onnx.load(str(MODELS / name / "model.onnx"))
        for name, model in self.models.items():
            onnx.save(model, str(self.folder / f"{name}.onnx"))

    def fold(self, model, path):
        onnx.save(model, str(self.folder / "unfolded.onnx"))
        self.succeed("-q", "--no-verify", "unfolded.onnx", "-o", path)
        return onnx.load(str(path))

    def expect(self, code, cases):
        """cases: what, name of the original, the other model."""
        def verdict(case):
            what, name, model = case
            other = self.folder / f"{name}_{what}.onnx"
            onnx.save(model, str(other))
            return self.run_program("verify", f"{name}.onnx", other)

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for (what, name, _), result in zip(cases, pool.map(verdict, cases)):
                with self.subTest(name, what=what):
                    self.assertEqual(result.returncode, code, (result.stdout + result.stderr).decode())

    def test_a_normalisation_folded_wrongly_differs(self):
        cases = []
        for name, model in self.models.items():
            for defect in DEFECTS:
                wrong = onnx.ModelProto()
                wrong.CopyFrom(model)
                nodes = list(batch_normalizations(wrong))
                if not nodes:
                    continue
                defect(wrong, nodes[len(nodes) // 2])
                if wrong != model:
                    cases.append((defect.__name__, name, self.fold(wrong, self.folder / "folded.onnx")))
        self.assertGreater(len(cases), 100)
        self.expect(ANSWER_IS_NO, cases)

    def with_changed_weights(self, change_weights):
        cases = []
        for name, model in self.models.items():
            folded = self.fold(model, self.folder / "folded.onnx")
            if weights(folded):
                change_weights(folded)
                cases.append((change_weights.__name__, name, folded))
        self.assertGreater(len(cases), 30)
        return cases

    def test_one_weight_off_by_a_thousandth_differs(self):
        self.expect(ANSWER_IS_NO, self.with_changed_weights(enlarge_weight))

    def test_weights_off_by_one_unit_in_the_last_place_agree(self):
        self.expect(DONE, self.with_changed_weights(move_weights))


if __name__ == "__main__":
    unittest.main()
