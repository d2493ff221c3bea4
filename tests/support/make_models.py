"""Writes the models and data files that the end-to-end tests use: make_models.py FOLDER

Needs onnx and numpy (Debian: python3-onnx). Everything is drawn from a fixed seed.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def constants(**arrays):
    return [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]


def model(nodes, inputs, outputs, initializers, opset=13, domains=()):
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 2) for domain in domains)], ir_version=8,
                             producer_name="make_models", producer_version="1")
    onnx.checker.check_model(made)
    return made


def value(name, shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def batch_normalization(rng, prefix, channels):
    return {
        f"{prefix}_scale": rng.uniform(0.5, 1.5, channels).astype(np.float32),
        f"{prefix}_B": rng.normal(size=channels).astype(np.float32),
        f"{prefix}_mean": rng.normal(size=channels).astype(np.float32),
        f"{prefix}_var": rng.uniform(0.2, 2.0, channels).astype(np.float32),
    }


def dense(rng, prefix, rows, columns):
    return {
        f"{prefix}_W": (rng.normal(size=(rows, columns)) / np.sqrt(rows)).astype(np.float32),
        f"{prefix}_b": rng.normal(size=columns).astype(np.float32),
    }


def mlp(rng):
    """x[N,8] -> Gemm -> BatchNormalization -> Relu -> Gemm -> y[N,3]: one fold, backward."""
    names = ["bn_scale", "bn_B", "bn_mean", "bn_var"]
    nodes = [
        helper.make_node("Gemm", ["x", "fc1_W", "fc1_b"], ["h1"], name="fc1"),
        helper.make_node("BatchNormalization", ["h1", *names], ["h2"], name="bn"),
        helper.make_node("Relu", ["h2"], ["h3"], name="relu"),
        helper.make_node("Gemm", ["h3", "fc2_W", "fc2_b"], ["y"], name="fc2"),
    ]
    arrays = {**dense(rng, "fc1", 8, 16), **batch_normalization(rng, "bn", 16), **dense(rng, "fc2", 16, 3)}
    made = model(nodes, [value("x", ["N", 8])], [value("y", ["N", 3])], constants(**arrays))

    def run(x):
        a = {name: array.astype(np.float64) for name, array in arrays.items()}
        h = x.astype(np.float64) @ a["fc1_W"] + a["fc1_b"]
        h = (h - a["bn_mean"]) / np.sqrt(a["bn_var"] + 1e-5) * a["bn_scale"] + a["bn_B"]
        return np.maximum(h, 0) @ a["fc2_W"] + a["fc2_b"]

    return made, run


def blocked(rng):
    """A BatchNormalization between two activations: nothing to fold into."""
    nodes = [
        helper.make_node("Relu", ["x"], ["h1"], name="before"),
        helper.make_node("BatchNormalization", ["h1", "bn_scale", "bn_B", "bn_mean", "bn_var"], ["h2"],
                         name="bn"),
        helper.make_node("Relu", ["h2"], ["y"], name="after"),
    ]
    return model(nodes, [value("x", ["N", 4])], [value("y", ["N", 4])],
                 constants(**batch_normalization(rng, "bn", 4)))


def plain(rng):
    """x[N,4] -> MatMul -> Add of a bias behind an Identity -> y; a Relu and an initializer lead nowhere."""
    nodes = [
        helper.make_node("Identity", ["b"], ["bias"], name="hidden"),
        helper.make_node("MatMul", ["x", "W"], ["h"], name="product"),
        helper.make_node("Add", ["h", "bias"], ["y"], name="add"),
        helper.make_node("Relu", ["y"], ["z"], name="nowhere"),
    ]
    arrays = {"W": rng.normal(size=(4, 3)), "b": rng.normal(size=3), "unused": np.ones(2)}
    return model(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])],
                 constants(**{name: array.astype(np.float32) for name, array in arrays.items()}))


def training():
    """x[N,2] -> Gemm (identity) -> Dropout -> BatchNormalization, both in training mode: y = [2x - 1, -x + 3]
    at inference."""
    nodes = [
        helper.make_node("Gemm", ["x", "W"], ["h"], name="fc"),
        helper.make_node("Dropout", ["h", "ratio", "training"], ["d"], name="drop"),
        helper.make_node("BatchNormalization", ["d", "scale", "B", "mean", "var"], ["y", "new_mean", "new_var"], name="bn",
                         training_mode=1, epsilon=0.0),
    ]
    arrays = {"W": np.eye(2), "ratio": np.float64(0.5), "scale": [4, -1], "B": [1, 3], "mean": [1, 0], "var": [4, 1]}
    return model(nodes, [value("x", ["N", 2])], [value("y", ["N", 2])],
                 constants(training=np.array(True), **{k: np.asarray(v, np.float32) for k, v in arrays.items()}), opset=15)


def classifier(last, outputs, **properties):
    """x[N,2] -> `last`, nodes that read h = [a, b, a + b] -> outputs."""
    made = model([helper.make_node("Gemm", ["x", "W"], ["h"], name="fc"), *last], [value("x", ["N", 2])], outputs,
                 constants(W=np.float32([[1, 0, 1], [0, 1, 1]]), zero=np.int64([0]), one=np.int64([1])), domains=("ai.onnx.ml",))
    helper.set_model_props(made, properties)
    return made


def picture(folder):
    """x[N,32,24,24] -> Conv of 3x3 taps -> y: a size at which --kernels fast takes tiles of 4x4."""
    rng = np.random.default_rng(5)
    W = (rng.normal(size=(32, 32, 3, 3)) / np.sqrt(32 * 9)).astype(np.float32)
    onnx.save(model([helper.make_node("Conv", ["x", "W"], ["y"], name="conv", pads=[1, 1, 1, 1])], [value("x", ["N", 32, 24, 24])],
                    [value("y", ["N", 32, 24, 24])], constants(W=W)), folder / "picture.onnx")


def classifiers(folder):
    softmax = helper.make_node("Softmax", ["h"], ["p"], name="softmax", axis=1)
    names = {"bnrun.classes": '["low", "high", "sum"]', "bnrun.features": '["a", "b"]', "bnrun.target": "kind"}
    onnx.save(classifier([softmax], [value("p", ["N", 3])], **names), folder / "classes.onnx")
    onnx.save(classifier([softmax], [value("p", ["N", 3])]), folder / "nameless.onnx")
    onnx.save(classifier([helper.make_node("Identity", ["h"], ["s"])], [value("s", ["N", 3])], **names), folder / "scores.onnx")
    second = [helper.make_node("Slice", ["h", "zero", "one", "one"], ["first"]), helper.make_node("Sigmoid", ["first"], ["p"])]
    binary = classifier(second, [value("p", ["N", 1])], **{"bnrun.classes": '["no", "yes"]', "bnrun.features": '["a", "b"]'})
    onnx.save(binary, folder / "binary.onnx")
    single = [second[0], helper.make_node("Identity", ["first"], ["p"])]
    logit = classifier(single, [value("p", ["N", 1])], **{"bnrun.classes": '["no", "yes"]'})
    onnx.save(logit, folder / "single.onnx")
    # As scikit-learn's converter writes a classifier: labels, and one dict for each row.
    label = [softmax, helper.make_node("ArgMax", ["p"], ["best"], axis=1, keepdims=0),
             helper.make_node("LabelEncoder", ["best"], ["output_label"], domain="ai.onnx.ml", keys_int64s=[0, 1, 2],
                              values_strings=["ant", "bee", "cat"]),
             helper.make_node("ZipMap", ["p"], ["output_probability"], domain="ai.onnx.ml", classlabels_strings=["ant", "bee", "cat"])]
    maps = onnx.TypeProto()
    maps.sequence_type.elem_type.map_type.key_type = TensorProto.STRING
    maps.sequence_type.elem_type.map_type.value_type.tensor_type.elem_type = FLOAT
    onnx.save(classifier(label, [value("output_label", ["N"], TensorProto.STRING),
                                 onnx.ValueInfoProto(name="output_probability", type=maps)]), folder / "zipmap.onnx")


def open_sizes(folder):
    relu = [helper.make_node("Relu", ["x"], ["y"], name="relu")]
    for name, shape in (("fixed", [2, 3]), ("open", ["N", 1, "height", "width"]), ("unnamed", ["N", None])):
        onnx.save(model(relu, [value("x", shape)], [value("y", shape)], []), folder / f"{name}.onnx")
    wide = model([helper.make_node("MatMul", ["x", "W"], ["y"])], [value("x", ["N", 1])], [value("y", ["N", 500])],
                 constants(W=np.ones((1, 500), np.float32)))
    onnx.save(wide, folder / "wide.onnx")
    crossing = model([helper.make_node("ReduceSum", ["x"], ["s"], keepdims=1), helper.make_node("Add", ["x", "s"], ["y"])],
                     [value("x", ["N", 1])], [value("y", ["N", 1])], [])
    onnx.save(crossing, folder / "crossing.onnx")
    images = model([helper.make_node("Flatten", ["x"], ["y"])], [value("x", ["N", 784])], [value("y", ["N", 784])], [])
    onnx.save(images, folder / "images.onnx")


def oddly_named(made):
    """A copy whose names are markup."""
    copy = onnx.ModelProto()
    copy.CopyFrom(made)
    for node in copy.graph.node:
        node.name = f"<b>&\"{node.name}'"
    copy.graph.node[-1].output[0] = copy.graph.output[0].name = "</td><script>y"
    return copy


def changed(made, name, factor):
    """A copy whose constant `name` is multiplied by `factor`."""
    copy = onnx.ModelProto()
    copy.CopyFrom(made)
    for tensor in copy.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), name))
    return copy


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    made, run = mlp(rng)
    onnx.save(made, folder / "mlp.onnx")
    onnx.save(changed(made, "fc2_W", 1.01), folder / "mlp_changed.onnx")
    onnx.save(blocked(rng), folder / "blocked.onnx")
    onnx.save(oddly_named(made), folder / "oddly_named.onnx")
    onnx.save(training(), folder / "training.onnx")
    onnx.save(plain(np.random.default_rng(2)), folder / "plain.onnx")
    helper.set_model_props(made, {"bnrun.features": '["a", "b", "c", "d", "e", "f", "g", "h"]'})
    onnx.save(made, folder / "mlp_features.onnx")

    x = rng.normal(size=(5, 8)).astype(np.float32)
    np.save(folder / "x.npy", x)
    np.save(folder / "y_expected.npy", run(x))

    two = model([helper.make_node("Add", ["a", "b"], ["sum"], name="add"),
                 helper.make_node("Mul", ["a", "b"], ["product"], name="mul")],
                [value("a", ["N", 2]), value("b", ["N", 2])],
                [value("sum", ["N", 2]), value("product", ["N", 2])], [])
    onnx.save(two, folder / "two.onnx")

    unknown = helper.make_model(helper.make_graph(
        [helper.make_node("Frobnicate", ["x"], ["y"], name="odd", domain="example.org")], "graph",
        [value("x", ["N", 8])], [value("y", ["N", 8])]),
        opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("example.org", 1)], ir_version=8)
    onnx.save(unknown, folder / "unknown.onnx")

    # Called as the operator that folds, but in a domain of its own.
    namesake = helper.make_model(helper.make_graph(
        [helper.make_node("Gemm", ["x", "W"], ["h"], name="fc"),
         helper.make_node("BatchNormalization", ["h", "v", "v", "v", "v"], ["y"], name="bn", domain="com.custom")], "graph",
        [value("x", ["N", 8])], [value("y", ["N", 2])], constants(W=np.ones((8, 2), np.float32), v=np.ones(2, np.float32))),
        opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("com.custom", 1)], ir_version=8)
    onnx.save(namesake, folder / "namesake.onnx")

    clash = helper.make_model(helper.make_graph(
        [helper.make_node("Gemm", ["x", "W"], ["y"], name="fc")], "graph", [value("x", ["N", 8])],
        [value("y", ["N", 2])], constants(W=np.zeros((7, 2), np.float32))),
        opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(clash, folder / "clash.onnx")

    classifiers(folder)
    picture(folder)
    open_sizes(folder)
    (folder / "truncated.onnx").write_bytes((folder / "mlp.onnx").read_bytes()[:-50])
    (folder / "foreign.onnx").write_text("this is no model\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
