"""Dense and BatchNormalization in every order, form and batch: the variants that ONNX Runtime leaves unfolded."""

from case import ROWS, Case, Draw, Graph, relu


def dense(g, form, name, x, layer, **output):
    if form == "gemm":
        return g.op("Gemm", name, x, layer.W, layer.b, **output)
    return g.op("Add", f"{name}/add", g.op("MatMul", name, x, layer.W), layer.b, **output)


def make(form, place, batch):
    def case(seed):
        draw = Draw(seed)
        x, fc1, fc2 = draw.normal(ROWS, 6), draw.dense(6, 8), draw.dense(8, 3)
        bn = draw.norm(6 if place == "input" else 8)
        g = Graph("gallery", opset=13, ir=7)
        h = g.op("BatchNormalization", "bn", "x", *bn) if place == "input" else "x"
        h = dense(g, form, "fc1", h, fc1)
        if place == "before":
            h = g.op("BatchNormalization", "bn", h, *bn)
        elif place == "muladd":
            s, t = bn.as_mul_add()
            h = g.op("Add", "bn/add", g.op("Mul", "bn", h, s), t)
        h = g.op("Relu", "relu", h)
        if place == "after":
            h = g.op("BatchNormalization", "bn", h, *bn)
        dense(g, form, "fc2", h, fc2, output="y")
        y = {
            "before": lambda: fc2(relu(bn(fc1(x)))),
            "muladd": lambda: fc2(relu(s * fc1(x) + t)),
            "after": lambda: fc2(bn(relu(fc1(x)))),
            "input": lambda: fc2(relu(fc1(bn(x)))),
        }[place]()
        operators = "Sub Gemm Relu Gemm" if place == "input" else "Gemm Relu Gemm"  # an offset stays: the data are exact
        return Case(g, {"x": x}, {"y": y}, operators, ["bn"], shapes={"fc1": [8], "relu": [8], "fc2": [3]},
                    batch="batch" if batch == "dynamic" else ROWS)

    return case


GALLERY = {
    f"{form}_{place}_{batch}": make(form, place, batch)
    for form in ("gemm", "matmul") for place in ("before", "after", "muladd", "input")
    for batch in ("static", "dynamic") if place != "input" or batch == "dynamic"
}
