"""The report of a fold: colours that can be read, the graph before and after, and what it all speaks of, in every form."""

import hashlib
import json
import re
import unittest
import xml.etree.ElementTree

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from programs import ANSWER_IS_NO, MODELS, ProgramTest

SVG = "{http://www.w3.org/2000/svg}"


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


class Report(ProgramTest):
    program = "bnfold"

    def page(self, model, *arguments):
        self.succeed(model, *arguments, "--report", "r.html")
        text = (self.folder / "r.html").read_text()
        return text, xml.etree.ElementTree.fromstring(text)

    def boxes(self, root):
        """For each of the two graphs, (class, operator, name) of its boxes."""
        graphs = [svg for svg in root.iter(f"{SVG}svg") if svg.get("class") == "graph"]
        self.assertEqual(len(graphs), 2)
        return [[(box.get("class").removeprefix("box").strip(), *(text.text for text in box.iter(f"{SVG}text")))
                 for box in graph.iter(f"{SVG}svg") if box is not graph] for graph in graphs]

    def test_text_can_be_read_in_light_and_dark(self):
        text, _ = self.page(MODELS / "mlp.onnx", "--dry-run")
        schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{(.*?)\}", text, re.S)]
        self.assertEqual(len(schemes), 2)
        self.assertEqual(schemes[0].keys(), schemes[1].keys())
        on_page = [(colour, "page") for colour in ("text", "soft", "good", "bad", "old", "new")]
        for scheme in schemes:
            for colour, ground in on_page + [("text", ground) for ground in ("left", "gone", "took", "box")] + [("soft", "left")]:
                self.assertGreaterEqual(contrast(scheme[colour], scheme[ground]), 4.5, f"{colour} on {ground}: {scheme}")
        style = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
        self.assertEqual(set(re.findall(r"#[0-9a-fA-F]{3,8}\b", style)), {c for scheme in schemes for c in scheme.values()},
                         "a colour besides those of the schemes")
        self.assertNotIn("opacity", style)

    def test_the_verdict_comes_first(self):
        _, root = self.page(MODELS / "mlp.onnx", "--dry-run")
        body = root.find("body")
        self.assertEqual([element.tag for element in body][:3], ["h1", "p", "h2"])
        self.assertIn("1 of 1 folded. The folded model agrees", "".join(body[1].itertext()))

    def test_the_graph_stands_before_and_after(self):
        _, root = self.page(MODELS / "mlp.onnx", "--dry-run")
        before, after = self.boxes(root)
        self.assertEqual(before, [("took", "Gemm", "fc1"), ("gone", "BatchNormalization", "bn"), ("", "Relu", "relu"), ("", "Gemm", "fc2")])
        self.assertEqual(after, [("took", "Gemm", "fc1"), ("", "Relu", "relu"), ("", "Gemm", "fc2")])

    def long_names(self):
        long = "module." * 60
        W = numpy_helper.from_array(np.eye(2, dtype=np.float32), "W" + long)
        v = numpy_helper.from_array(np.ones(2, np.float32), "v")
        nodes = [helper.make_node("Gemm", ["x", W.name], ["h"], name="gemm." + long),
                 helper.make_node("BatchNormalization", ["h", *"vvvv"], ["b"], name="bn." + long),
                 helper.make_node("Add", ["b", "h2"], ["y" + long], name="\u00e4" * 90)]
        nodes.insert(0, helper.make_node("Relu", ["x"], ["h2"], name="relu"))
        x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("x", "y" + long))
        model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], [W, v]), opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(model, self.folder / "long.onnx")
        return "long.onnx"

    def test_long_names_stay_in_their_boxes(self):
        text, root = self.page(self.long_names(), "--dry-run")
        before, _ = self.boxes(root)
        for _, op, name in before:
            self.assertLess(len(name), 45)
        self.assertEqual(before[-1][2].strip("\u00e4"), "\u2026", "a character was cut in two")
        for svg in root.iter(f"{SVG}svg"):
            self.assertLessEqual(float(svg.get("width")), 368, "wider than a small screen")
        self.assertIn("overflow-wrap: anywhere", text)
        # What passes others has a line of its own: Relu is read by Add, two boxes further on.
        graph = next(svg for svg in root.iter(f"{SVG}svg") if svg.get("class") == "graph")
        paths = [path.get("d") for path in graph if path.get("class") == "edge"]
        self.assertEqual(sum("H" in path for path in paths), 1)

    def test_large_graphs_are_cut_short(self):
        nodes = [helper.make_node("Relu" if i % 2 else "Sigmoid", [f"h{i}"], [f"h{i + 1}"], name=f"n{i}") for i in range(400)]
        x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("h0", "h400"))
        model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(model, self.folder / "deep.onnx")
        text, _ = self.page("deep.onnx", "--dry-run")
        self.assertIn("and 250 more", text)

    def test_what_it_speaks_of_stands_in_every_form(self):
        model, data = MODELS / "mlp.onnx", MODELS / "x.npy"
        printed = self.succeed(model, "-o", "out.onnx", "-i", data, "--rtol", "1e-4", "--report", "r.html").decode()
        page = (self.folder / "r.html").read_text()
        self.succeed(model, "-o", "out.onnx", "-i", data, "--rtol", "1e-4", "--report", "r.json")
        document = json.loads((self.folder / "r.json").read_text())
        compared = json.loads(self.succeed("verify", model, "out.onnx", "--json"))
        said = self.succeed("verify", model, "out.onnx").decode()
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (model, data, self.folder / "out.onnx")}
        for text in (printed, page):
            for name, digest in sums.items():
                self.assertIn(digest, text, name)
            for said_of in ("the data given", "5 rows", "seed 1", "1e-05 + 0.0001*|b|", "bnfold 0.1.0"):
                self.assertIn(said_of, text)
            self.assertRegex(text, r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
        files = {file["role"]: file["sha256"] for file in document["provenance"]["files"]}
        self.assertEqual(files, {"model": sums["mlp.onnx"], "data": sums["x.npy"], "folded": sums["out.onnx"]})
        verification = document["verification"]
        self.assertEqual((verification["rows"], verification["seed"], verification["tolerance"]), (5, 1, {"rtol": 1e-4, "atol": 1e-5}))
        self.assertEqual(verification["inputs"][0]["from"], "the data given")
        self.assertEqual({file["role"]: file["sha256"] for file in compared["provenance"]["files"]},
                         {"first": sums["mlp.onnx"], "second": sums["out.onnx"]})
        self.assertIn(f"sha256 {sums['out.onnx']}  second out.onnx\n", said)

    def test_what_is_no_file_has_no_hash(self):
        document = self.run_program("-", "--dry-run", "--report", "r.json", stdin=(MODELS / "mlp.onnx").read_bytes())
        self.assertEqual(document.returncode, 0)
        told = json.loads((self.folder / "r.json").read_text())
        self.assertEqual(told["provenance"]["files"], [{"role": "model", "path": "standard input", "sha256": None}])
        self.fail_with(ANSWER_IS_NO, "verify", MODELS / "mlp.onnx", MODELS / "mlp_changed.onnx")


if __name__ == "__main__":
    unittest.main()
