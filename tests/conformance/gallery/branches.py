"""Networks whose branches part and meet: towers, tables with embeddings, residual and dense blocks, heads."""

import numpy as np

from case import ROWS, Case, Draw, Graph, relu


def gemm(g, name, x, layer, **output):
    return g.op("Gemm", name, x, layer.W, layer.b, **output)


def norm(g, name, x, bn, **output):
    return g.op("BatchNormalization", name, x, *bn, **output)


def towers(seed):
    """Two layers of different widths side by side, normalised together."""
    draw = Draw(seed)
    x, wide, deep, head = draw.normal(ROWS, 6), draw.dense(6, 5), draw.dense(6, 3), draw.dense(8, 3)
    bn = draw.norm(8)
    g = Graph("gallery", opset=13, ir=7)
    h = g.op("Concat", "join", gemm(g, "wide", "x", wide), gemm(g, "deep", "x", deep), axis=1)
    gemm(g, "head", g.op("Relu", "relu", norm(g, "bn", h, bn)), head, output="y")
    y = head(relu(bn(np.concatenate([wide(x), deep(x)], axis=1))))
    return Case(g, {"x": x}, {"y": y}, "Gemm Gemm Concat Relu Gemm", ["bn"], shapes={"join": [8]})


def table_with_embedding(seed):
    """Of a table's columns the numbers are normalised, the categories looked up; one layer reads both."""
    draw = Draw(seed)
    numbers, rows = draw.normal(ROWS, 4), np.arange(ROWS) % 3
    embedding, bn, fc = draw.normal(3, 5), draw.norm(4), draw.dense(9, 2)
    g = Graph("gallery", opset=13, ir=7)
    looked_up = g.op("Gather", "embedding", embedding, "category")
    gemm(g, "fc", g.op("Concat", "join", looked_up, norm(g, "bn", "numbers", bn), axis=-1), fc, output="y")
    y = fc(np.concatenate([embedding[rows], bn(numbers)], axis=1))
    return Case(g, {"numbers": numbers, "category": rows}, {"y": y}, "Gather Sub Concat Gemm", ["bn"],
                shapes={"join": [9]})


def residual(seed):
    """x + f(x) with BatchNormalization behind the layers of f, and one behind the sum."""
    draw = Draw(seed)
    x, stem, fc1, fc2, head = draw.normal(ROWS, 6), *(draw.dense(*s) for s in ((6, 8), (8, 8), (8, 8), (8, 3)))
    bn1, bn2, bn3 = draw.norm(8), draw.norm(8), draw.norm(8)
    g = Graph("gallery", opset=13, ir=7)
    h = g.op("Relu", "relu0", gemm(g, "stem", "x", stem))
    f = g.op("Relu", "relu1", norm(g, "bn1", gemm(g, "fc1", h, fc1), bn1))
    total = g.op("Add", "add", norm(g, "bn2", gemm(g, "fc2", f, fc2), bn2), h)
    gemm(g, "head", norm(g, "bn3", total, bn3), head, output="y")
    h = relu(stem(x))
    y = head(bn3(bn2(fc2(relu(bn1(fc1(h))))) + h))
    return Case(g, {"x": x}, {"y": y}, "Gemm Relu Gemm Relu Gemm Add Gemm", ["bn1", "bn2", "bn3"],
                shapes={"add": [8]})


def dense_block(seed):
    """Concat(h, f(h)), f and what follows starting with BatchNormalization; Relu keeps the first one where it is."""
    draw = Draw(seed)
    x, stem, fc, head = draw.normal(ROWS, 6), draw.dense(6, 4), draw.dense(4, 3), draw.dense(7, 3)
    bn1, bn2 = draw.norm(4), draw.norm(7)
    g = Graph("gallery", opset=13, ir=7)
    h = gemm(g, "stem", "x", stem)
    grown = gemm(g, "fc", g.op("Relu", "relu", norm(g, "bn1", h, bn1)), fc)
    gemm(g, "head", norm(g, "bn2", g.op("Concat", "join", h, grown, axis=1), bn2), head, output="y")
    h = stem(x)
    y = head(bn2(np.concatenate([h, fc(relu(bn1(h)))], axis=1)))
    return Case(g, {"x": x}, {"y": y}, "Gemm BatchNormalization Relu Gemm Concat Gemm", ["bn2"],
                {"bn1": "intermediate_used_elsewhere"}, shapes={"join": [7]})


def heads(seed):
    """Each head reads its own part of what was normalised together."""
    draw = Draw(seed)
    x, bn, mean, deviation = draw.normal(ROWS, 8), draw.norm(8), draw.dense(5, 2), draw.dense(3, 2)
    g = Graph("gallery", opset=13, ir=7)
    a, b = g.op("Split", "split", norm(g, "bn", g.op("Tanh", "tanh", "x"), bn), np.array([5, 3]), output=["a", "b"],
                axis=1)
    gemm(g, "mean", a, mean, output="y")
    gemm(g, "deviation", b, deviation, output="z")
    h = bn(np.tanh(x))
    return Case(g, {"x": x}, {"y": mean(h[:, :5]), "z": deviation(h[:, 5:])}, "Tanh Split Gemm Gemm", ["bn"],
                shapes={"split": [5]})


def twins(seed):
    """Two inputs through the same weights, each normalised by statistics of its own."""
    draw = Draw(seed)
    a, b, shared, head = draw.normal(ROWS, 6), draw.normal(ROWS, 6), draw.dense(6, 4), draw.dense(4, 2)
    bn1, bn2 = draw.norm(4), draw.norm(4)
    g = Graph("gallery", opset=13, ir=7)
    W, bias = g.constant("W", shared.W), g.constant("bias", shared.b)
    first = norm(g, "bn1", g.op("Gemm", "fc1", "a", W, bias), bn1)
    second = norm(g, "bn2", g.op("Gemm", "fc2", "b", W, bias), bn2)
    gemm(g, "head", g.op("Relu", "relu", g.op("Sub", "sub", first, second)), head, output="y")
    y = head(relu(bn1(shared(a)) - bn2(shared(b))))
    return Case(g, {"a": a, "b": b}, {"y": y}, "Gemm Gemm Sub Relu Gemm", ["bn1", "bn2"], shapes={"sub": [4]})


GALLERY = {f"branches_{make.__name__}": make
           for make in (towers, table_with_embedding, residual, dense_block, heads, twins)}
