#!/usr/bin/env python3
"""Any output of any operator may have no name: the other outputs stay what they are. None may have one output too many.

usage: unnamed_outputs_test.py BNRUN BNFOLD [DATA_FOLDER]
Takes the ONNX backend tests of single operators that pass (floor.json), takes the name off each output in turn, and
off all of them, and runs what is left with `bnrun test` and, once per operator, `bnfold --dry-run`. Variadic operators
take any number of outputs, as far as their inputs and attributes agree.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import onnx
from onnx import helper

FLOOR = pathlib.Path(__file__).parent / "floor.json"


def without(model, unnamed):
    """The model with the outputs of these indices unnamed, and the indices of the graph outputs that stay. Where none
    does, the first input is handed on, so that there is something to compute."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    node = graph.node[0]
    gone = {node.output[i] for i in unnamed}
    for i in unnamed:
        node.output[i] = ""
    stays = [i for i, output in enumerate(model.graph.output) if output.name not in gone]
    del graph.output[:]
    graph.output.extend(model.graph.output[i] for i in stays)
    if not stays:
        first = graph.input[0]
        graph.node.append(helper.make_node("Identity", [first.name], ["handed_on"]))
        graph.output.append(helper.make_tensor_value_info("handed_on", first.type.tensor_type.elem_type, None))
    return changed, stays


def with_one_more(model):
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    node = changed.graph.node[0]
    while len(node.output) < 5:  # BatchNormalization had five
        node.output.append(f"more_{len(node.output)}")
    node.output.append("one_too_many")
    return changed


def write_case(source, target, model, stays):
    for data in source.glob("test_data_set_*"):
        folder = target / data.name
        folder.mkdir(parents=True)
        for given in data.glob("input_*.pb"):
            shutil.copy(given, folder)
        for now, before in enumerate(stays):
            shutil.copy(data / f"output_{before}.pb", folder / f"output_{now}.pb")
        if not stays:
            shutil.copy(data / "input_0.pb", folder / "output_0.pb")
    onnx.save(model, str(target / "model.onnx"))


def main():
    bnrun, bnfold = sys.argv[1:3]
    data = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else "/usr/share/libonnx-testdata/data") / "node"
    operators = {}
    with tempfile.TemporaryDirectory() as root:
        cases = []
        for name in json.loads(FLOOR.read_text())["node"]:
            model = onnx.load(str(data / f"test_{name}" / "model.onnx"))
            if len(model.graph.node) != 1 or not model.graph.input:
                continue
            node = model.graph.node[0]
            named = [i for i, output in enumerate(node.output) if output]
            choices = {(i,) for i in named} | {tuple(named)} | {tuple(named[:i] + named[i + 1:]) for i in range(len(named))}
            for unnamed in sorted(choices - {()}):
                folder = pathlib.Path(root) / f"{name}-{'-'.join(map(str, unnamed))}"
                write_case(data / f"test_{name}", folder, *without(model, unnamed))
                cases.append(folder)
                operators.setdefault((node.op_type, unnamed), folder / "model.onnx")
            operators.setdefault((node.op_type, "one too many"), pathlib.Path(root) / f"{node.op_type}.onnx")
            onnx.save(with_one_more(model), str(pathlib.Path(root) / f"{node.op_type}.onnx"))
        lines = []
        for first in range(0, len(cases), 500):
            done = subprocess.run([bnrun, "test", *cases[first:first + 500]], stdout=subprocess.PIPE, text=True)
            lines += done.stdout.splitlines()[:-1]
            if done.returncode not in (0, 1):
                print(f"bnrun test ended with exit code {done.returncode}")
        bad = [line for line in lines if not line.startswith("PASS ")]
        for (operator, unnamed), model in operators.items():
            done = subprocess.run([bnfold, model, "--dry-run", "--rows", "2"], capture_output=True, text=True)
            # Shapes that depend on data are not drawn.
            good = (3, 4) if unnamed == "one too many" else (0, 4, 5)
            if operator == "Split":  # how many parts there are may be known only when it runs
                good = (0, *good)
            if done.returncode not in good:
                bad.append(f"{operator} {unnamed}: bnfold exits {done.returncode}: {done.stderr}")
    print(f"{len(cases)} cases of {len({operator for operator, _ in operators})} operators, {len(bad)} bad", *bad, sep="\n  ")
    return 1 if bad or len(lines) != len(cases) or len(cases) < 500 else 0


if __name__ == "__main__":
    sys.exit(main())
