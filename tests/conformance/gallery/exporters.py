"""Dense and BatchNormalization as each exporter writes them, at the opset and IR version that it used."""

import numpy as np
from onnx import AttributeProto, TensorProto, helper

from case import ROWS, Case, Dense, Draw, Graph, Norm, relu, softmax


def mlp(seed, inputs=6, hidden=8, classes=3):
    """The network most of the exporters are shown with: x, dense, normalisation, dense."""
    draw = Draw(seed)
    return draw.normal(ROWS, inputs), draw.dense(inputs, hidden), draw.norm(hidden), draw.dense(hidden, classes)


def torch_gemm(g, name, x, fc, **output):
    return g.op("Gemm", name, x, fc.W.T, fc.b, alpha=1.0, beta=1.0, transB=1, **output)


def torch_linear(g, name, x, fc, **output):
    """A Linear on more than two dimensions: the bias comes first in the Add."""
    return g.op("Add", f"{name}/Add", fc.b, g.op("MatMul", f"{name}/MatMul", x, fc.W), **output)


TORCH_BN = {"epsilon": 1e-5, "momentum": 0.9}


# ---- PyTorch, TorchScript exporter

def torch_script(seed):
    x, fc1, bn, fc2 = mlp(seed)
    g = Graph("pytorch", opset=14, ir=7)
    h = torch_gemm(g, "/0/Gemm", "x", fc1)
    h = g.op("BatchNormalization", "/1/BatchNormalization", h, *bn, training_mode=0, **TORCH_BN)
    torch_gemm(g, "/3/Gemm", g.op("Relu", "/2/Relu", h), fc2, output="y")
    return Case(g, {"x": x}, {"y": fc2(relu(bn(fc1(x))))}, "Gemm Relu Gemm", ["/1/BatchNormalization"],
                shapes={"/0/Gemm": [8], "/3/Gemm": [3]}, batch="batch_size")


def torch_script_opset9(seed):
    """Unsqueeze(2), BatchNormalization, Squeeze(2); parameters are graph inputs too, as IR 3 asks."""
    x, fc1, bn, fc2 = mlp(seed)
    g = Graph("pytorch", opset=9, ir=3, constants="inputs")
    h = g.op("Unsqueeze", "Unsqueeze_1", torch_gemm(g, "Gemm_0", "x", fc1), axes=[2])
    h = g.op("BatchNormalization", "BatchNormalization_2", h, *bn, **TORCH_BN)
    h = g.op("Relu", "Relu_4", g.op("Squeeze", "Squeeze_3", h, axes=[2]))
    torch_gemm(g, "Gemm_5", h, fc2, output="y")
    return Case(g, {"x": x}, {"y": fc2(relu(bn(fc1(x))))}, "Gemm Relu Gemm", ["BatchNormalization_2"],
                shapes={"Unsqueeze_1": [8, 1], "Squeeze_3": [8]}, batch=ROWS)


def torch_script_identity(seed):
    """The same at opset 13 with parameters behind Identity, where the exporter found equal ones (a fresh layer)."""
    x, fc1, _, fc2 = mlp(seed)
    bn = Norm(np.ones(8), np.zeros(8), np.zeros(8), np.ones(8))
    g = Graph("pytorch", opset=13, ir=7)
    ones, zeros = g.constant("1.weight", bn.scale), g.constant("1.bias", bn.B)
    var, mean = g.op("Identity", "Identity_0", ones), g.op("Identity", "Identity_1", zeros)
    axes = g.op("Constant", "Constant_3", value_ints=[2])
    h = g.op("Unsqueeze", "Unsqueeze_4", torch_gemm(g, "Gemm_2", "x", fc1), axes)
    h = g.op("BatchNormalization", "BatchNormalization_5", h, ones, zeros, mean, var, **TORCH_BN)
    h = g.op("Relu", "Relu_8", g.op("Squeeze", "Squeeze_7", h, g.op("Constant", "Constant_6", value_ints=[2])))
    torch_gemm(g, "Gemm_9", h, fc2, output="y")
    return Case(g, {"x": x}, {"y": fc2(relu(bn(fc1(x))))}, "Gemm Relu Gemm", ["BatchNormalization_5"],
                shapes={"Unsqueeze_4": [8, 1], "Squeeze_7": [8]})


def torch_script_all_identity(seed):
    x, fc1, bn, fc2 = mlp(seed)
    g = Graph("pytorch", opset=11, ir=6, constants="identity")
    h = torch_gemm(g, "Gemm_0", "x", fc1)
    h = g.op("Relu", "Relu_2", g.op("BatchNormalization", "BatchNormalization_1", h, *bn, **TORCH_BN))
    torch_gemm(g, "Gemm_3", h, fc2, output="y")
    return Case(g, {"x": x}, {"y": fc2(relu(bn(fc1(x))))}, "Gemm Relu Gemm", ["BatchNormalization_1"],
                shapes={"Gemm_0": [8]})


def torch_script_mm(seed):
    """x.mm(W): a Gemm whose C is a dummy, with beta = 0."""
    x, fc1, bn, fc2 = mlp(seed)
    g = Graph("pytorch", opset=12, ir=6)
    dummy = g.op("Constant", "Constant_0", output="C", value_floats=[1.0])
    h = g.op("Gemm", "Gemm_1", "x", fc1.W, dummy, alpha=1.0, beta=0.0)
    h = g.op("Relu", "Relu_3", g.op("BatchNormalization", "BatchNormalization_2", h, *bn, **TORCH_BN))
    g.op("Gemm", "Gemm_4", h, fc2.W, dummy, output="y", alpha=1.0, beta=0.0)
    return Case(g, {"x": x}, {"y": relu(bn(x @ fc1.W)) @ fc2.W}, "Gemm Relu Gemm", ["BatchNormalization_2"],
                shapes={"Gemm_1": [8]})


def rank3(seed, g):
    """[N, T, F]: Linear, BatchNormalization over the features between two transposes, Linear."""
    draw = Draw(seed)
    x, fc1, bn, fc2 = draw.normal(ROWS, 4, 6), draw.dense(6, 8), draw.norm(8), draw.dense(8, 3)
    h = g.op("Transpose", "/Transpose", torch_linear(g, "/fc1", "x", fc1), perm=[0, 2, 1])
    h = g.op("BatchNormalization", "/bn/BatchNormalization", h, *bn, **TORCH_BN)
    h = g.op("Relu", "/Relu", g.op("Transpose", "/Transpose_1", h, perm=[0, 2, 1]))
    torch_linear(g, "/fc2", h, fc2, output="y")
    return Case(g, {"x": x}, {"y": fc2(relu(bn(fc1(x))))}, "MatMul Add Relu MatMul Add", ["/bn/BatchNormalization"],
                shapes={"/Transpose": [8, 4], "/Transpose_1": [4, 8]})


def torch_script_rank3(seed):
    return rank3(seed, Graph("pytorch", opset=17, ir=8))


def torch_script_view(seed):
    """x.view(x.size(0), -1): the shape is worked out in the graph."""
    draw = Draw(seed)
    x, fc1, bn, fc2 = draw.normal(ROWS, 2, 3), draw.dense(6, 8), draw.norm(8), draw.dense(8, 3)
    g = Graph("pytorch", opset=13, ir=7)
    rows = g.op("Gather", "/Gather", g.op("Shape", "/Shape", "x"), np.array(0), axis=0)
    rows = g.op("Unsqueeze", "/Unsqueeze", rows, np.array([0]))
    h = g.op("Reshape", "/Reshape", "x", g.op("Concat", "/Concat", rows, np.array([-1]), axis=0))
    h = g.op("BatchNormalization", "/bn/BatchNormalization", torch_gemm(g, "/fc1/Gemm", h, fc1), *bn, **TORCH_BN)
    torch_gemm(g, "/fc2/Gemm", g.op("Relu", "/Relu", h), fc2, output="y")
    return Case(g, {"x": x}, {"y": fc2(relu(bn(fc1(x.reshape(ROWS, 6)))))},
                "Shape Gather Unsqueeze Concat Reshape Gemm Relu Gemm", ["/bn/BatchNormalization"],
                shapes={"/Reshape": [6], "/fc1/Gemm": [8]})


def torch_script_rows_view(seed):
    """[N, T, F]: BatchNormalization over the features of all N*T rows, between two views."""
    draw = Draw(seed)
    x, fc1, bn, fc2 = draw.normal(ROWS, 4, 6), draw.dense(6, 8), draw.norm(8), draw.dense(8, 3)
    g = Graph("pytorch", opset=14, ir=7)
    h = g.op("Reshape", "/Reshape", torch_linear(g, "/fc1", "x", fc1), np.array([-1, 8]))
    h = g.op("BatchNormalization", "/bn/BatchNormalization", h, *bn, **TORCH_BN)
    h = g.op("Relu", "/Relu", g.op("Reshape", "/Reshape_1", h, np.array([-1, 4, 8])))
    torch_linear(g, "/fc2", h, fc2, output="y")
    return Case(g, {"x": x}, {"y": fc2(relu(bn(fc1(x))))}, "MatMul Add Relu MatMul Add", ["/bn/BatchNormalization"],
                shapes={"/Relu": [4, 8]})


# ---- PyTorch, dynamo exporter

def torch_dynamo(seed):
    """BatchNormalization behind the activation survives its optimiser; the weights are external data."""
    x, fc1, bn, fc2 = mlp(seed, 24, 32, 10)
    g = Graph("pytorch", opset=18, ir=10)
    h = torch_gemm(g, "node_linear", "x", fc1)
    h = g.op("BatchNormalization", "node__native_batch_norm_legit_no_training__0", g.op("Relu", "node_relu", h), *bn,
             training_mode=0, **TORCH_BN)
    torch_gemm(g, "node_linear_1", h, fc2, output="linear_1")
    return Case(g, {"x": x}, {"linear_1": fc2(bn(relu(fc1(x))))}, "Gemm Relu Gemm",
                ["node__native_batch_norm_legit_no_training__0"], shapes={"node_linear": [32]}, batch="s77",
                external=True)


def torch_dynamo_rank3(seed):
    return rank3(seed, Graph("pytorch", opset=18, ir=10))


def passing_on(node, **names):
    """The node with float attributes that are those of the function around it: its name -> the function's name."""
    node.attribute.extend(AttributeProto(name=name, ref_attr_name=outer, type=AttributeProto.FLOAT)
                          for name, outer in names.items())
    return node


def torch_dynamo_functions(seed):
    """Unoptimised: every operator of torch is a local function, weights are transposed in the graph."""
    x, fc1, bn, fc2 = mlp(seed)
    library = "pkg.onnxscript.torch_lib"
    g = Graph("pytorch", opset=18, ir=8)
    g.function(library, "aten_t", ["self"], helper.make_node("Transpose", ["self"], ["y"], perm=[1, 0]))
    g.function(library, "aten_relu", ["self"], helper.make_node("Relu", ["self"], ["y"]))
    g.function(library, "aten_addmm", ["self", "mat1", "mat2"],
               passing_on(helper.make_node("Gemm", ["mat1", "mat2", "self"], ["y"]), alpha="alpha", beta="beta"),
               attributes=["alpha", "beta"])
    parameters = ["weight", "bias", "running_mean", "running_var"]
    g.function(library, "_aten_native_batch_norm_inference_onnx", ["input", *parameters],
               passing_on(helper.make_node("BatchNormalization", ["input", *parameters], ["norm"], name="n0"),
                          epsilon="eps", momentum="momentum"),
               helper.make_node("Identity", ["norm"], ["y"], name="n1"), attributes=["eps", "momentum"])

    def linear(name, x, fc, **output):
        t = g.op("aten_t", f"{name}/aten_t", fc.W.T, domain=library)
        return g.op("aten_addmm", f"{name}/aten_addmm", fc.b, x, t, domain=library, alpha=1.0, beta=1.0, **output)

    h = g.op("aten_relu", "relu", linear("fc1", "x", fc1), domain=library)
    h = g.op("_aten_native_batch_norm_inference_onnx", "bn", h, *bn, domain=library, eps=1e-3, momentum=0.9)
    linear("fc2", h, fc2, output="addmm_1")
    return Case(g, {"x": x}, {"addmm_1": fc2(bn(relu(fc1(x)), epsilon=1e-3))}, "Gemm Relu Gemm", ["bn/n0"],
                shapes={"bn/n0": [8]})


# ---- tf2onnx (Keras 2)

def tf2onnx_rank2(seed):
    x, fc1, bn, fc2 = mlp(seed)
    s, t = bn.as_mul_add(epsilon=1e-3)
    g = Graph("tf2onnx", opset=13, ir=7)
    h = g.op("MatMul", "model/dense/MatMul", "x", fc1.W)
    h = g.op("Relu", "model/dense/Relu", g.op("Add", "model/dense/BiasAdd", h, fc1.b))
    h = g.op("Mul", "model/batch_normalization/batchnorm/mul_1", h, s)
    h = g.op("Add", "model/batch_normalization/batchnorm/add_1", h, t)
    h = g.op("MatMul", "model/dense_1/MatMul", h, fc2.W)
    g.op("Softmax", "model/dense_1/Softmax", g.op("Add", "model/dense_1/BiasAdd", h, fc2.b), output="dense_1", axis=-1)
    return Case(g, {"x": x}, {"dense_1": softmax(fc2(s * relu(fc1(x)) + t))}, "Gemm Relu Gemm Softmax",
                ["model/batch_normalization/batchnorm/mul_1"], shapes={"model/dense/MatMul": [8]}, batch="unk__12")


def tf2onnx_static(seed):
    """All dimensions static: its optimiser makes a Gemm of MatMul and Add."""
    x, fc1, bn, fc2 = mlp(seed)
    s, t = bn.as_mul_add(epsilon=1e-3)
    g = Graph("tf2onnx", opset=9, ir=4)
    h = g.op("Gemm", "dense/BiasAdd", "x", fc1.W, fc1.b)
    h = g.op("Add", "batch_normalization/batchnorm/add_1",
             g.op("Mul", "batch_normalization/batchnorm/mul_1", h, s), t)
    g.op("Gemm", "dense_1/BiasAdd", g.op("Relu", "dense/Relu", h), fc2.W, fc2.b, output="dense_1")
    return Case(g, {"x": x}, {"dense_1": fc2(relu(s * fc1(x) + t))}, "Gemm Relu Gemm",
                ["batch_normalization/batchnorm/mul_1"], shapes={"dense/BiasAdd": [8]}, batch=ROWS)


def tf2onnx_decomposed(seed):
    """Rank 3: Add(epsilon), Sqrt, Reciprocal, Mul, Mul, Sub, Add, every step in the graph."""
    draw = Draw(seed)
    x, fc1, bn, fc2 = draw.normal(ROWS, 4, 6), draw.dense(6, 8), draw.norm(8), draw.dense(8, 3)
    prefix = "model/batch_normalization/batchnorm"
    g = Graph("tf2onnx", opset=11, ir=6)
    h = g.op("Add", "model/dense/BiasAdd", g.op("MatMul", "model/dense/Tensordot", "x", fc1.W), fc1.b)
    rsqrt = g.op("Sqrt", f"{prefix}/Sqrt", g.op("Add", f"{prefix}/add", bn.var, np.float64(1e-3)))
    rsqrt = g.op("Reciprocal", f"{prefix}/Rsqrt", rsqrt)
    scale = g.op("Mul", f"{prefix}/mul", rsqrt, bn.scale)
    shift = g.op("Sub", f"{prefix}/sub", bn.B, g.op("Mul", f"{prefix}/mul_2", bn.mean, scale))
    h = g.op("Add", f"{prefix}/add_1", g.op("Mul", f"{prefix}/mul_1", h, scale), shift)
    h = g.op("MatMul", "model/dense_1/Tensordot", g.op("Relu", "model/dense/Relu", h), fc2.W)
    g.op("Add", "model/dense_1/BiasAdd", h, fc2.b, output="dense_1")
    return Case(g, {"x": x}, {"dense_1": fc2(relu(bn(fc1(x), epsilon=1e-3)))}, "MatMul Add Relu MatMul Add",
                ["model/batch_normalization/batchnorm/mul_1"], shapes={f"{prefix}/mul_1": [4, 8]}, batch="unk__7")


# ---- Keras 3

def keras3_torch(seed):
    """(x - mean) * (rsqrt(var + epsilon) * gamma) + beta, the parameters reshaped to [1, C]."""
    x, fc1, bn, fc2 = mlp(seed)
    g = Graph("pytorch", opset=18, ir=8)
    shape = g.op("Constant", "/bn/Constant", value_ints=[1, 8])
    scale, B, mean, var = (g.op("Reshape", f"/bn/Reshape_{i}", p, shape) for i, p in enumerate(bn))
    h = g.op("Add", "/dense/Add", g.op("MatMul", "/dense/MatMul", "x", fc1.W), fc1.b)
    std = g.op("Sqrt", "/bn/Sqrt", g.op("Add", "/bn/Add", var, np.float64(1e-3)))
    rsqrt = g.op("Div", "/bn/Div", np.float64(1.0), std)
    h = g.op("Mul", "/bn/Mul_1", g.op("Sub", "/bn/Sub", h, mean), g.op("Mul", "/bn/Mul", rsqrt, scale))
    h = g.op("Relu", "/Relu", g.op("Add", "/bn/Add_1", h, B))
    g.op("Add", "/dense_1/Add", g.op("MatMul", "/dense_1/MatMul", h, fc2.W), fc2.b, output="output_0")
    return Case(g, {"x": x}, {"output_0": fc2(relu(bn(fc1(x), epsilon=1e-3)))}, "Gemm Relu Gemm",
                ["/bn/Mul_1"], shapes={"/bn/Mul_1": [8]}, batch="dynamic_axes_1")


def keras3_jax(seed):
    """x*inv + (beta - mean*inv) with inv = rsqrt(var + epsilon)*gamma."""
    x, fc1, bn, fc2 = mlp(seed)
    g = Graph("tf2onnx", opset=15, ir=8)
    h = g.op("MatMul", "jax2tf/dense/dot_general", "x", fc1.W)
    h = g.op("Add", "jax2tf/dense/add", h, fc1.b.reshape(1, 8))
    std = g.op("Sqrt", "jax2tf/bn/sqrt", g.op("Add", "jax2tf/bn/add", bn.var.reshape(1, 8), np.float64(1e-3)))
    inv = g.op("Mul", "jax2tf/bn/mul", g.op("Reciprocal", "jax2tf/bn/rsqrt", std), bn.scale.reshape(1, 8))
    negated = g.op("Mul", "jax2tf/bn/mul_1", g.op("Neg", "jax2tf/bn/neg", bn.mean.reshape(1, 8)), inv)
    shift = g.op("Add", "jax2tf/bn/add_1", bn.B.reshape(1, 8), negated)
    h = g.op("Add", "jax2tf/bn/add_2", g.op("Mul", "jax2tf/bn/mul_2", h, inv), shift)
    h = g.op("Max", "jax2tf/relu/max", h, np.float64(0.0))
    h = g.op("MatMul", "jax2tf/dense_1/dot_general", h, fc2.W)
    g.op("Add", "jax2tf/dense_1/add", h, fc2.b.reshape(1, 3), output="output_0")
    return Case(g, {"x": x}, {"output_0": fc2(relu(bn(fc1(x), epsilon=1e-3)))}, "Gemm Max Gemm",
                ["jax2tf/bn/mul_2"], shapes={"jax2tf/bn/mul_2": [8]}, batch="unk__31")


# ---- keras2onnx

def keras2onnx(seed):
    """mean and var are already in scale and B; a BatchNormalization with 0, 1 and epsilon/1000 is left."""
    x, fc1, bn, fc2 = mlp(seed)
    s, t = bn.as_mul_add(epsilon=1e-3)
    normal = Norm(s, t, np.zeros(8), np.ones(8))
    g = Graph("keras2onnx", opset=11, ir=6)
    h = g.op("Add", "dense_add", g.op("MatMul", "dense", "x", fc1.W), fc1.b)
    h = g.op("Relu", "re_lu", h)
    h = g.op("BatchNormalization", "batch_normalization", h, *normal, epsilon=1e-6, momentum=0.99)
    h = g.op("Add", "dense_1_add", g.op("MatMul", "dense_1", h, fc2.W), fc2.b)
    g.op("Softmax", "activation", h, output="dense_1_out", axis=1)
    return Case(g, {"x": x}, {"dense_1_out": softmax(fc2(normal(relu(fc1(x)), epsilon=1e-6)))},
                "Gemm Relu Gemm Softmax", ["batch_normalization"], shapes={"dense": [8]}, batch="N")


# ---- skl2onnx

def skl_classifier(g, x, fc1, fc2):
    """The MLPClassifier: its nodes up to label and probabilities."""
    h = g.op("Add", "Ad_Add", g.op("MatMul", "Ma_MatMul", x, fc1.W), fc1.b.reshape(1, -1))
    h = g.op("MatMul", "Ma_MatMul1", g.op("Relu", "Re_Relu", h), fc2.W)
    return g.op("Softmax", "So_Softmax", g.op("Add", "Ad_Add1", h, fc2.b.reshape(1, -1)))


def skl_label(g, probabilities, classes):
    best = g.op("ArgMax", "Ar_ArgMax", probabilities, axis=1)
    label = g.op("ArrayFeatureExtractor", "Ar_ArrayFeatureExtractor", classes.astype(np.int32), best,
                 domain="ai.onnx.ml")
    g.op("Reshape", "Re_Reshape", g.op("Cast", "Ca_Cast1", label, to=TensorProto.INT64), np.array([-1]), output="label")


SKL_LABEL = "ArgMax ArrayFeatureExtractor Cast Reshape"
CLASSES = np.array([3, 5, 8])


def skl2onnx_scaler(seed):
    """StandardScaler and MLPClassifier: ml.Scaler, a Cast of float to float, biases of [1, n], Softmax without axis,
    and an Identity that gives an output its name."""
    draw = Draw(seed)
    x, fc1, fc2 = draw.normal(ROWS, 6), draw.dense(6, 8), draw.dense(8, 3)
    offset, scale = draw.normal(6), draw.between(0.5, 2.0, 6)
    g = Graph("skl2onnx", opset=12, ir=7, ml=1)
    h = g.op("Scaler", "Scaler", "X", domain="ai.onnx.ml", offset=offset.tolist(), scale=scale.tolist())
    h = g.op("Cast", "Ca_Cast", h, to=TensorProto.FLOAT)
    p = skl_classifier(g, h, fc1, fc2)
    skl_label(g, p, CLASSES)
    g.op("Identity", "Id_Identity", p, output="probabilities")
    y = softmax(fc2(relu(fc1((x - offset) * scale))))
    return Case(g, {"X": x}, {"label": CLASSES[y.argmax(axis=1)], "probabilities": y},
                f"Sub Gemm Relu Gemm Softmax {SKL_LABEL}", ["Scaler"], shapes={"Ma_MatMul": [8]}, batch="N")


def skl2onnx_zipmap(seed):
    """Integer features, Sub and Div in front, and probabilities as a sequence of maps."""
    draw = Draw(seed)
    x, fc1, fc2 = np.rint(draw.normal(ROWS, 6) * 3).astype(np.int64), draw.dense(6, 8), draw.dense(8, 3)
    mean, std = draw.normal(6), draw.between(0.5, 2.0, 6)
    g = Graph("skl2onnx", opset=13, ir=8, ml=1)
    h = g.op("Cast", "Ca_Cast", "X", to=TensorProto.FLOAT)
    h = g.op("Div", "Di_Div", g.op("Sub", "Su_Sub", h, mean.reshape(1, -1)), std.reshape(1, -1))
    p = skl_classifier(g, h, fc1, fc2)
    skl_label(g, p, CLASSES)
    g.op("ZipMap", "ZipMap", p, output="output_probability", domain="ai.onnx.ml", classlabels_int64s=CLASSES.tolist())
    y = softmax(fc2(relu(fc1((x - mean) / std))))
    return Case(g, {"X": x}, {"label": CLASSES[y.argmax(axis=1)], "output_probability": y},
                f"Cast Gemm Relu Gemm Softmax ZipMap {SKL_LABEL}", ["Di_Div"], shapes={"Su_Sub": [6]},
                batch=None, maps=("output_probability",))


# ---- Paddle

def paddle(opset, ir, batch):
    """Every parameter is a Constant node."""
    def case(seed):
        x, fc1, bn, fc2 = mlp(seed)
        g = Graph("PaddlePaddle", opset=opset, ir=ir, constants="nodes")
        h = g.op("Add", "p2o.Add.0", g.op("MatMul", "p2o.MatMul.0", "x", fc1.W), fc1.b)
        h = g.op("BatchNormalization", "p2o.BatchNormalization.0", h, *bn, epsilon=1e-5, momentum=0.9)
        h = g.op("MatMul", "p2o.MatMul.1", g.op("Relu", "p2o.Relu.0", h), fc2.W)
        g.op("Softmax", "p2o.Softmax.0", g.op("Add", "p2o.Add.1", h, fc2.b), output="softmax_0.tmp_0", axis=-1)
        return Case(g, {"x": x}, {"softmax_0.tmp_0": softmax(fc2(relu(bn(fc1(x)))))}, "Gemm Relu Gemm Softmax",
                    ["p2o.BatchNormalization.0"], shapes={"p2o.MatMul.0": [8]}, batch=batch)

    return case


# ---- MXNet

def mxnet(opset, ir, foldable):
    """Flatten (of a matrix too, which does nothing), Gemm with a scalar C where there is no bias (of rank 0 or 1).
    Parameters are graph inputs too: constant below IR 4, to be overridden by a caller from IR 4 on."""
    def case(seed):
        draw = Draw(seed)
        x, fc1, bn, fc2 = draw.normal(ROWS, 2, 3), draw.dense(6, 8), draw.norm(8), draw.dense(8, 3)
        fc1 = Dense(fc1.W, np.zeros(1 if foldable else ()))
        g = Graph("", opset=opset, ir=ir, constants="inputs")
        h = g.op("Gemm", "fc1", g.op("Flatten", "flatten_fc1", "data"), fc1.W.T, fc1.b, alpha=1.0, beta=1.0, transA=0,
                 transB=1)
        per_element = {"spatial": 0} if opset < 9 else {}
        h = g.op("BatchNormalization", "bn1", h, *bn, epsilon=1e-3, momentum=0.9, **per_element)
        h = g.op("Gemm", "fc2", g.op("Flatten", "flatten_fc2", g.op("Relu", "relu1", h)), fc2.W.T, fc2.b, alpha=1.0,
                 beta=1.0, transA=0, transB=1)
        g.op("Softmax", "softmax", h, output="softmax_out", axis=1)
        y = softmax(fc2(relu(bn(fc1(x.reshape(ROWS, 6)), epsilon=1e-3))))
        return Case(g, {"data": x}, {"softmax_out": y},
                    f"Flatten Gemm {'' if foldable else 'BatchNormalization'} Relu Gemm Softmax",
                    ["bn1"] if foldable else [], {} if foldable else {"bn1": "not_constant"},
                    shapes={"fc1": [8], "flatten_fc1": [6]}, batch=ROWS)

    return case


GALLERY = {
    "torch_script": torch_script,
    "torch_script_opset9": torch_script_opset9,
    "torch_script_identity": torch_script_identity,
    "torch_script_all_identity": torch_script_all_identity,
    "torch_script_mm": torch_script_mm,
    "torch_script_rank3": torch_script_rank3,
    "torch_script_view": torch_script_view,
    "torch_script_rows_view": torch_script_rows_view,
    "torch_dynamo": torch_dynamo,
    "torch_dynamo_rank3": torch_dynamo_rank3,
    "torch_dynamo_functions": torch_dynamo_functions,
    "tf2onnx_rank2": tf2onnx_rank2,
    "tf2onnx_static": tf2onnx_static,
    "tf2onnx_decomposed": tf2onnx_decomposed,
    "keras3_torch": keras3_torch,
    "keras3_jax": keras3_jax,
    "keras2onnx": keras2onnx,
    "skl2onnx_scaler": skl2onnx_scaler,
    "skl2onnx_zipmap": skl2onnx_zipmap,
    "paddle": paddle(11, 7, "DynamicDimension.0"),
    "paddle_unnamed_batch": paddle(9, 6, None),
    "mxnet": mxnet(7, 3, foldable=True),
    "mxnet_overridable": mxnet(12, 6, foldable=False),
}
