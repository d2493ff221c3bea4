#!/usr/bin/env python3
"""Breaks models in small ways and lets the programs have a go at them: `bnrun inspect`, `bnrun` and `bnfold --dry-run`.

usage: mutated_models.py PROGRAMS_FOLDER [--count N] [--seed S] [--only I] [--keep FOLDER] [MODELS_FOLDER...]
Each run must end with one of the exit codes for a good or bad model, within 2 seconds of processor time, and in 1 GB
of address space. What does not is named with the number of its case, which --only runs again and --keep writes down.
The models come from the folders (Debian's libonnx-testdata without any); the same seed gives the same cases.
"""
import argparse
import collections
import itertools
import multiprocessing
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, mapping, numpy_helper

GOOD = {0, 1, 3, 4, 5, 6, 7}  # the exit codes of the README but for usage and defects
SECONDS = 2.0
MEMORY = 1 << 30
LARGEST_FILE = 200_000
NUMBERS = [0, 1, -1, 2, 3, 7, -2, 64, 255, 1 << 16, 1 << 31, -(1 << 31), 1 << 40, (1 << 63) - 1, -(1 << 63)]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, float("inf"), float("-inf"), float("nan")]
OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""})
DEFAULT_MODELS = "/usr/share/libonnx-testdata/data"


# ---------------------------------------------------------------- changes of a model: each takes (random, ModelProto)


def some_graph(rng, model):
    """The graph, or one of those in its attributes."""
    graphs = [model.graph]
    for graph in graphs:
        graphs += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return rng.choice(graphs)


def some_node(rng, model):
    nodes = some_graph(rng, model).node
    return rng.choice(nodes) if nodes else None


def some_tensor(rng, model):
    graph = some_graph(rng, model)
    tensors = [*graph.initializer, *(a.t for node in graph.node for a in node.attribute if a.HasField("t"))]
    return rng.choice(tensors) if tensors else None


def some_name(rng, model):
    graph = some_graph(rng, model)
    names = [name for node in graph.node for name in [*node.input, *node.output]]
    names += [value.name for value in [*graph.input, *graph.output, *graph.initializer]]
    return rng.choice([*names, "", "new"])


def rename(rng, model):
    node = some_node(rng, model)
    if node:
        names = rng.choice([node.input, node.output])
        if names:
            names[rng.randrange(len(names))] = some_name(rng, model)


def empty_name(rng, model):
    node = some_node(rng, model)
    if node:
        names = rng.choice([node.input, node.output])
        if names:
            names[rng.randrange(len(names))] = ""


def drop_name(rng, model):
    node = some_node(rng, model)
    if node:
        names = rng.choice([node.input, node.output])
        if names:
            del names[rng.randrange(len(names))]


def add_name(rng, model):
    node = some_node(rng, model)
    if node:
        rng.choice([node.input, node.output]).append(some_name(rng, model))


def drop_element(rng, model):
    graph = some_graph(rng, model)
    field = rng.choice([graph.node, graph.input, graph.output, graph.initializer, graph.value_info])
    if field:
        del field[rng.randrange(len(field))]


def double_element(rng, model):
    graph = some_graph(rng, model)
    field = rng.choice([graph.node, graph.input, graph.output, graph.initializer])
    if field:
        field.append(rng.choice(field))


def swap_nodes(rng, model):
    nodes = some_graph(rng, model).node
    if len(nodes) > 1:
        a, b = rng.sample(range(len(nodes)), 2)
        copy = onnx.NodeProto()
        copy.CopyFrom(nodes[a])
        nodes[a].CopyFrom(nodes[b])
        nodes[b].CopyFrom(copy)


def change_operator(rng, model):
    node = some_node(rng, model)
    if node:
        node.op_type = rng.choice(OPERATORS)


def change_attribute(rng, model):
    node = some_node(rng, model)
    if not node or not node.attribute:
        return
    a = rng.choice(node.attribute)
    if a.type == AttributeProto.INT:
        a.i = rng.choice(NUMBERS)
    elif a.type == AttributeProto.FLOAT:
        a.f = rng.choice(FLOATS)
    elif a.type == AttributeProto.STRING:
        a.s = rng.choice([b"", b"SAME_UPPER", b"constant", b"x", b"\xff\x1b[2J", b"i,ij->j"])
    elif a.type == AttributeProto.INTS:
        change_list(rng, a.ints, NUMBERS)
    elif a.type == AttributeProto.FLOATS:
        change_list(rng, a.floats, FLOATS)
    elif a.type == AttributeProto.STRINGS:
        change_list(rng, a.strings, [b"", b"x"])


def change_list(rng, values, choices):
    if values and rng.random() < 0.6:
        values[rng.randrange(len(values))] = rng.choice(choices)
    elif values and rng.random() < 0.5:
        del values[rng.randrange(len(values))]
    else:
        values.append(rng.choice(choices))


def change_attribute_type(rng, model):
    node = some_node(rng, model)
    if node and node.attribute:
        rng.choice(node.attribute).type = rng.choice(range(16))


def drop_attribute(rng, model):
    node = some_node(rng, model)
    if node and node.attribute:
        del node.attribute[rng.randrange(len(node.attribute))]


def move_attribute(rng, model):
    source, target = some_node(rng, model), some_node(rng, model)
    if source and target and source.attribute:
        target.attribute.append(rng.choice(source.attribute))


def change_value_type(rng, model):
    graph = some_graph(rng, model)
    values = [*graph.input, *graph.output, *graph.value_info]
    if not values:
        return
    tensor = rng.choice(values).type.tensor_type
    kind = rng.randrange(4)
    if kind == 0:
        tensor.elem_type = rng.choice(range(24))
    elif kind == 1:
        tensor.ClearField("shape")
    elif tensor.shape.dim and kind == 2:
        dim = rng.choice(tensor.shape.dim)
        if rng.random() < 0.5:
            dim.dim_param = rng.choice(["N", "", "M", "2*N"])
        else:
            dim.dim_value = rng.choice(NUMBERS)
    elif tensor.shape.dim and rng.random() < 0.5:
        del tensor.shape.dim[rng.randrange(len(tensor.shape.dim))]
    else:
        tensor.shape.dim.add().dim_value = rng.choice(NUMBERS)


def change_tensor(rng, model):
    tensor = some_tensor(rng, model)
    if tensor is None:
        return
    kind = rng.randrange(5)
    if kind == 0:
        tensor.data_type = rng.choice([*range(24), -1, 99])
    elif kind == 1:
        change_list(rng, tensor.dims, NUMBERS)
    elif kind == 2 and tensor.raw_data:
        data = bytearray(tensor.raw_data)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.choice([0, 0xFF, 0x7F, 0x80, rng.randrange(256)])
        tensor.raw_data = bytes(data)
    elif kind == 3 and tensor.raw_data:
        tensor.raw_data = tensor.raw_data[:rng.randrange(len(tensor.raw_data))]
    else:
        rng.choice([tensor.int64_data, tensor.int32_data]).append(rng.choice(NUMBERS[:10]))


def change_elements(rng, model):
    """Integers that steer and floats, keeping the type and, mostly, the shape."""
    tensor = some_tensor(rng, model)
    if tensor is None:
        return
    try:
        array = np.array(numpy_helper.to_array(tensor))
    except Exception:  # damaged before
        return
    if array.size == 0 or array.dtype.kind not in "iuf":
        return
    flat = array.reshape(-1)
    for _ in range(rng.randint(1, 3)):
        value = rng.choice(FLOATS if array.dtype.kind == "f" else NUMBERS)
        with np.errstate(all="ignore"):
            flat[rng.randrange(flat.size)] = np.array(value, dtype=object).astype(float).astype(array.dtype) \
                if array.dtype.kind == "f" else np.int64(value).astype(array.dtype)
    if rng.random() < 0.2:
        array = array.reshape(-1)[:rng.randrange(array.size) + 1]
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def input_to_constant(rng, model):
    """What an operator takes from the user becomes part of the model, where it is looked at earlier."""
    graph = model.graph
    if not graph.input:
        return
    value = rng.choice(graph.input)
    array = drawn(rng, value)
    if array is not None and array.dtype.kind != "O":
        graph.initializer.append(numpy_helper.from_array(array, value.name))


def change_frame(rng, model):
    kind = rng.randrange(4)
    if kind == 0 and model.opset_import:
        rng.choice(model.opset_import).version = rng.choice([*range(25), 99, -1, (1 << 63) - 1])
    elif kind == 1:
        model.ir_version = rng.choice([0, 1, 2, 3, 4, 8, 99])
    elif kind == 2:
        del model.opset_import[:]
    else:
        node = some_node(rng, model)
        if node:
            node.domain = rng.choice(["ai.onnx", "ai.onnx.ml", "com.microsoft", "\x1b[2J"])


def external_data(rng, model):
    tensor = some_tensor(rng, model)
    if tensor is None:
        return
    tensor.data_location = TensorProto.EXTERNAL
    if rng.random() < 0.7:
        tensor.ClearField("raw_data")
    for key in rng.sample(["location", "offset", "length"], rng.randint(1, 3)):
        tensor.external_data.add(key=key, value=rng.choice(["", ".", "/dev/zero", "x", "0", "-1", "99999999999999999999"]))


CHANGES = [rename, empty_name, drop_name, add_name, drop_element, double_element, swap_nodes, change_operator,
           change_attribute, change_attribute, change_attribute_type, drop_attribute, move_attribute, change_value_type,
           change_tensor, change_elements, change_elements, input_to_constant, change_frame, external_data]


def change_bytes(rng, data):
    data = bytearray(data)
    if rng.random() < 0.3:
        return bytes(data[:rng.randrange(len(data) + 1)])
    for _ in range(rng.randint(1, 6)):
        if data:
            data[rng.randrange(len(data))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    return bytes(data)


def mutated(rng, path):
    model = onnx.load(str(path), load_external_data=False)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3])):
        try:
            rng.choice(CHANGES)(rng, model)
        except ValueError:  # protobuf refuses a number that its field does not hold
            pass
    data = model.SerializeToString()
    return change_bytes(rng, data) if rng.random() < 0.15 else data


# ---------------------------------------------------------------- running the programs


def drawn(rng, value):
    """Elements for an input, or None where its type is nothing to draw."""
    tensor = value.type.tensor_type
    dtype = mapping.TENSOR_TYPE_TO_NP_TYPE.get(tensor.elem_type)
    if dtype is None:
        return None
    shape = [d.dim_value if d.HasField("dim_value") else 2 for d in tensor.shape.dim]
    if len(shape) > 8 or any(n < 0 for n in shape) or np.prod([float(n) for n in shape]) > 1e5:
        return None
    numbers = np.random.default_rng(rng.randrange(1 << 30)).integers(-3, 4, shape)
    if dtype == np.dtype("O"):
        return np.array([str(n) for n in numbers.ravel()], dtype=object).reshape(shape)
    return np.array(np.abs(numbers) if dtype.kind in "ub" else numbers).astype(dtype)


def write_inputs(rng, data, folder):
    """-i for each input of the model, as far as it can be read."""
    arguments = []
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception:
        return arguments
    constants = {tensor.name for tensor in model.graph.initializer}
    for i, value in enumerate(model.graph.input):
        array = drawn(rng, value) if value.name not in constants else None
        if array is None or not isinstance(value.name, str) or "=" in value.name or "\0" in value.name:
            continue
        path = folder / f"{i}.pb"
        path.write_bytes(numpy_helper.from_array(array).SerializeToString())
        arguments += ["-i", f"{value.name}={path}"]
    return arguments


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, folder, limited):
    """Exit code (negative: signal), seconds of processor time, and what it said."""
    with open(folder / "said", "wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                                   preexec_fn=limit if limited else None)
        waits = itertools.count()
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if next(waits) > 30000:  # a minute
                process.kill()
            time.sleep(0.002)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    return process.returncode, seconds, (folder / "said").read_text(errors="replace").strip()[:300]


def check_case(job):
    index, options, paths, limited = job
    rng = random.Random(f"{options.seed} {index}")
    path = rng.choice(paths)
    data = mutated(rng, path)
    findings, codes = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model = folder / "model.onnx"
        model.write_bytes(data)
        bnrun, bnfold = (os.path.join(options.programs, program) for program in ("bnrun", "bnfold"))
        inputs = write_inputs(rng, data, folder)
        for command in ([bnrun, "inspect", model], [bnrun, model, *inputs, "-f", "npz", "-o", os.devnull],
                        [bnfold, model, "--dry-run", "--rows", "2"]):
            code, seconds, said = run(command, folder, limited)
            codes.append(code)
            if code not in GOOD or (limited and seconds > SECONDS):
                words = " ".join(map(str, command[:2])).replace(name, "")
                findings.append(f"case {index} ({path.parent.name}/{path.name}): {words}: exit {code}, "
                                f"{seconds:.1f} s: {said}")
        if options.keep and (findings or options.only is not None):
            keep = pathlib.Path(options.keep) / str(index)
            keep.mkdir(parents=True, exist_ok=True)
            for file in folder.iterdir():
                (keep / file.name).write_bytes(file.read_bytes())
            (keep / "inputs").write_text(" ".join(map(str, inputs)).replace(name, str(keep)))
    return codes, findings


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--keep")
    parser.add_argument("folders", nargs="*", default=[DEFAULT_MODELS])
    options = parser.parse_intermixed_args()
    paths = sorted(path for folder in options.folders or [DEFAULT_MODELS] for path in pathlib.Path(folder).rglob("*.onnx")
                   if path.stat().st_size < LARGEST_FILE)
    readable = []
    for path in paths:
        try:
            onnx.load(str(path), load_external_data=False)
            readable.append(path)
        except Exception:  # models of other tests that are damaged already
            pass
    # Sanitizers want more address space than there is, and take their time.
    version = [os.path.join(options.programs, "bnrun"), "--version"]
    limited = subprocess.run(version, capture_output=True, preexec_fn=limit).returncode == 0
    indices = [options.only] if options.only is not None else range(options.count)
    codes = collections.Counter()
    findings = []
    with multiprocessing.Pool(2) as pool:
        jobs = ((index, options, readable, limited) for index in indices)
        for case_codes, case_findings in pool.imap_unordered(check_case, jobs, chunksize=8):
            codes.update(case_codes)
            findings += case_findings
    print(f"{len(indices)} mutated models of {len(readable)}: exit codes "
          + ", ".join(f"{code}: {count}" for code, count in sorted(codes.items())), *sorted(findings), sep="\n")
    return 1 if findings or len(readable) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
