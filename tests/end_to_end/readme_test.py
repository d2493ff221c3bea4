"""README.md, docs/ and --help tell the truth: every `$ command` in a console block and every example in --help runs as it
stands, in one folder, README.md first; output shown below a command is part of what it prints; links lead somewhere; the
tables of operators and reasons are current; folding gives the numbers of the worked example."""

import gzip
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import numpy as np
import onnx
from onnx import helper, numpy_helper

from programs import PROGRAMS, ProgramTest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDING = (ROOT / "docs/folding.md").read_text()


def console_steps(text):
    """(command, lines of output shown below it)"""
    steps = []
    for block in re.findall(r"```console\n(.*?)```", text, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


class ReadmeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        (cls.folder / "models").symlink_to(ROOT / "models")
        cls.environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def shell(self, command):
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stderr}")
        return done.stdout + done.stderr

    def test_1_console_blocks_run_and_print_what_they_show(self):
        steps = [step for page in PAGES for step in console_steps(page.read_text())]
        self.assertGreater(len(steps), 6)
        for command, shown in steps:
            printed = [line.rstrip() for line in self.shell(command).splitlines()]
            for line in shown:
                self.assertIn(line.rstrip(), printed, command)

    def test_2_help_examples_run(self):
        # The files that examples speak of: a model, rows for it, images as .npy and IDX.
        self.shell("cp digits.onnx model.onnx")
        self.shell("/usr/bin/python3 -c \"import numpy; numpy.save('images.npy', numpy.ones((3, 64), 'float32'))\"")
        with gzip.open(self.folder / "train-images-idx3-ubyte.gz", "wb") as file:
            file.write(bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 8]) + bytes(range(128)))
        ran = 0
        for program in ("bntrain", "bnfold", "bnrun"):
            for command in [[program], *([program, subcommand] for subcommand in self.subcommands(program))]:
                text = self.shell(" ".join(command) + " --help")
                self.assertIn("Example:", text, f"{command} --help has no example")
                examples = text.split("Example:")[1].replace("\\\n", " ")
                for line in filter(None, map(str.strip, examples.splitlines())):
                    line = re.sub(r" \| jq .*", "", line)  # shows what the output is for; jq is not ours to run
                    line = line.replace("images=train", "input=train")  # the model here calls its input so
                    self.shell(line)
                    ran += 1
        self.assertGreater(ran, 18)

    @staticmethod
    def subcommands(program):
        text = subprocess.run([PROGRAMS / program, "--help"], text=True, stdout=subprocess.PIPE, check=True).stdout
        return re.findall(r"^  (\w+) ", text.split("Subcommands:")[1].split("Example:")[0], re.M)

    def test_3_operator_table_is_current(self):
        shown = re.search(r"<!-- operators -->\n(.*?)<!-- /operators -->", (ROOT / "docs/operators.md").read_text(), re.S).group(1)
        current = subprocess.run([PROGRAMS / "bnrun", "operators", "--markdown"], text=True, stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(shown.strip(), current.strip(), "run tools/update-operators")


class Pages(unittest.TestCase):
    def test_links_lead_somewhere(self):
        def anchors(page):
            return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)", page.read_text(), re.M)}

        links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]
        inner = [(page, *link.partition("#")) for page, link in links if not link.startswith("http")]
        self.assertGreater(len(inner), 10)
        for page, path, _, anchor in inner:
            target = page.parent / path if path else page
            self.assertTrue(target.exists(), f"{page}: {path}")
            if anchor:
                self.assertIn(anchor, anchors(target), page)

    def test_paths_in_the_pages_exist(self):
        roots = r"`((?:cmake|docs|engine|models|tests|tools)/[\w./-]*)`"
        paths = [(page, path) for page in PAGES for path in re.findall(roots, page.read_text())]
        self.assertGreater(len(paths), 20)
        for page, path in paths:
            self.assertTrue((ROOT / path).exists(), f"{page}: {path}")

    def test_folding_page_lists_every_reason(self):
        reasons = re.findall(r"^  (\w+), +///<", (ROOT / "engine/include/bnrun/decline.h").read_text(), re.M)
        self.assertGreater(len(reasons), 15)
        section = FOLDING.split("\n## Reasons not to fold\n")[1].split("\n## ")[0]
        self.assertEqual(re.findall(r"^\| `(\w+)` \|", section, re.M), reasons)


class WorkedExample(ProgramTest):
    program = "bnfold"

    def test_folding_gives_the_numbers_of_the_page(self):
        section = FOLDING.split("\n### An example to check by hand\n")[1].split("\n## ")[0]
        text = "\n".join(re.findall(r"```text\n(.*?)```", section, re.S))
        numbers = {name: np.array(json.loads(value), np.float32)
                   for name, value in re.findall(r"([\w']+) += (\[.*?\](?=  |\n)|[\d.]+)", text)}
        parameters = ["sub", "div", "W", "b", "scale", "B", "mean", "var"]
        nodes = [helper.make_node("Sub", ["x", "sub"], ["centred"]), helper.make_node("Div", ["centred", "div"], ["a"]),
                 helper.make_node("Gemm", ["a", "W", "b"], ["h"]),
                 helper.make_node("BatchNormalization", ["h", "scale", "B", "mean", "var"], ["y"], epsilon=float(numbers["epsilon"]))]
        ports = [[helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 2])] for name in "xy"]
        graph = helper.make_graph(nodes, "example", *ports, [numpy_helper.from_array(numbers[name], name) for name in parameters])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 8
        onnx.save(model, self.folder / "example.onnx")
        self.succeed("example.onnx", "-o", "folded.onnx")
        folded = onnx.load(str(self.folder / "folded.onnx")).graph
        self.assertEqual([node.op_type for node in folded.node], ["Gemm"])
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in folded.initializer}
        W, b = (constants[name] for name in folded.node[0].input[1:])
        np.testing.assert_array_equal(W, numbers["W'"])
        np.testing.assert_array_equal(b, numbers["b'"])
        np.testing.assert_array_equal(numbers["x"] @ W + b, numbers["y"])
        unfolded = ((numbers["x"] - numbers["sub"]) / numbers["div"]) @ numbers["W"] + numbers["b"]
        sigma = np.sqrt(numbers["var"] + numbers["epsilon"])
        np.testing.assert_array_equal((unfolded - numbers["mean"]) / sigma * numbers["scale"] + numbers["B"], numbers["y"])


if __name__ == "__main__":
    unittest.main()
