"""The page of tests/bench: every cell, the worst first, on measurements made up here; what docs/ shows is made of docs/speed.json;
the networks are what the table says. Needs BNRUN_PROGRAMS; where BNRUN_ORT_BENCH names the program, it runs too."""

import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

import onnx

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import models
import report

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = ("speed.md", "speed.csv", "speed.json", "speed.svg")


def measurement(mode="full"):
    """Three networks; cell i is i + 1 times as fast as the rival with the folded model, one is slower."""
    cells = [{"model": f"{name}, BN before", "rows": rows, "threads": 1, "macs_per_row": 1000, "flops_of_one_thread": 5e9,
              "microseconds_per_row": {"bnrun": 0.5, "bnrun_unfolded": 0.75, "ort": 4.0 * (i + 1), "ort_folded": 0.5 * (i + 1)}}
             for i, (name, rows) in enumerate((name, rows) for name in ("b", "a & c", "d") for rows in (1, 256))]
    cells[3]["microseconds_per_row"]["ort_folded"] = 0.25
    limits = [{"threads": 1, "flops": 8e9, "vectors": "AVX2", "bytes_per_second": 1e10, "cache_bytes": 1, "buffer_bytes": 8}]
    return {"processor": "made up", "limits": limits, "mode": mode, "bnrun": "1", "ort": "2", "cells": cells}


class Folder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def report(self, measured):
        (self.folder / "measured.json").write_text(json.dumps(measured))
        report.main(self.folder / "measured.json", self.folder / "out")
        return {name: (self.folder / "out" / name).read_text() for name in FILES}


class Report(Folder):
    def test_lists_every_cell_the_worst_first(self):
        made = self.report(measurement())
        table = [line.split(" | ") for line in made["speed.md"].splitlines() if line.startswith("| ")][1:]
        self.assertEqual(len(table), 6)
        self.assertEqual(table[0][0], "| a & c, BN before")
        ratios = [float(row[7]) for row in table]
        self.assertEqual(ratios, [0.5, 1.0, 2.0, 3.0, 5.0, 6.0])
        self.assertEqual([cell["model"] for cell in json.loads(made["speed.json"])["cells"]],
                         [row["model"] for row in csv.DictReader(made["speed.csv"].splitlines())])

    def test_tells_ratios_and_shares(self):
        row = next(csv.DictReader(self.report(measurement())["speed.csv"].splitlines()))
        self.assertEqual({key: float(row[key]) for key in ("faster", "faster_folded", "unfolded", "gflops", "of_limit")},
                         {"faster": 32.0, "faster_folded": 0.5, "unfolded": 1.5, "gflops": 4.0, "of_limit": 0.8})

    def test_sums_up(self):
        page = self.report(measurement())["speed.md"]
        self.assertIn("bnfold wrote: 2.12 times faster (geometric mean of 6 cells), 0.50 in the worst cell; slower in 1.", page)
        self.assertIn("Measured on: made up, AVX2; 1 thread: 8 GFLOP/s, 10.0 GB/s read.", page)

    def test_tells_what_threads_bring_from_256_rows_on(self):
        measured = measurement()
        measured["limits"].append({**measured["limits"][0], "threads": 2, "flops": 16e9})
        for cell, alone in zip(measured["cells"], (0.6, 0.95, 0.6, 0.9, 0.6, 1.0)):
            cell["threads"] = 2
            cell["microseconds_per_row"]["bnrun_alone"] = alone
        made = self.report(measured)
        self.assertIn("From 256 rows on, several threads are 1.90 times as fast as one, 1.80 at worst (a & c, BN before, 256 rows).", made["speed.md"])
        self.assertNotIn("several threads are", self.report(measurement())["speed.md"])

    def test_lists_single_layers_beside_float32_and_the_limit(self):
        def cell(model, us, **more):
            return {"model": model, "rows": 8, "threads": 1, "macs_per_row": 1000, "flops_of_one_thread": 5e9,
                    "microseconds_per_row": {"bnrun": us, **more}}
        layers = [cell("2x2 float32", 0.5, ort=1.0), cell("2x2 int8", 0.125, ort=0.25), cell("2x2 bfloat16", 0.25),
                  {**cell("4x4 float32", 0.5, ort=0.6), "bytes_per_second": 1e10}]
        (self.folder / "layers.json").write_text(json.dumps({"cells": layers}))
        (self.folder / "measured.json").write_text(json.dumps(measurement()))
        report.main(self.folder / "measured.json", self.folder / "layers.json", self.folder / "out")
        page = (self.folder / "out" / "speed.md").read_text()
        for line in ("| 2x2 float32 | 8 | 1 | 4 | 8 | 2.00 |  | 4 | 80% |", "| 2x2 int8 | 8 | 1 | 1 | 2 | 2.00 | 4.00 | 16 | 320% |",
                     "| 2x2 bfloat16 | 8 | 1 | 2 |  |  | 2.00 | 8 | 160% |", "| 4x4 float32 | 8 | 1 | 4 | 4.8 | 1.20 |  | 4 | 80% |",
                     "- Single layers of float32 reach 80% of the limit at worst.",
                     "- One row of weights that come from memory reads them at 80% of the rate of reading at worst.",
                     "- 2x2 int8 with 8 rows is 4.00 times as fast as float32, 2.00 times as fast as ONNX Runtime.",
                     "- 2x2 bfloat16 with 8 rows is 2.00 times as fast as float32."):
            self.assertIn(line, page)
        self.assertIn("layers", json.loads((self.folder / "out" / "speed.json").read_text()))

    def test_says_when_it_is_preliminary(self):
        self.assertNotIn("Preliminary", self.report(measurement())["speed.md"])
        self.assertIn("Preliminary", self.report(measurement("quick"))["speed.md"])

    def test_charts_every_network_in_light_and_dark(self):
        svg = self.report(measurement())["speed.svg"]
        root = xml.fromstring(svg)
        width, height = map(float, root.get("viewBox").split()[2:])
        inside = [element for element in root.iter() if element.get("x") or element.get("cx")]
        self.assertGreater(len(inside), 20)
        for element in inside:
            self.assertTrue(0 <= float(element.get("x") or element.get("cx")) <= width, element.attrib)
            self.assertTrue(0 <= float(element.get("y") or element.get("cy")) <= height, element.attrib)
        words = [element.text for element in root.iter() if element.tag.endswith("text")]
        for name in ("a & c", "b", "d"):
            self.assertIn(name, words)
        self.assertIn("prefers-color-scheme: dark", svg)
        classes = set(re.findall(r'class="(\w+)"', svg))
        for name in classes:
            self.assertEqual(svg.count(f".{name} {{"), 2, f".{name} has a colour for light and one for dark")


class Shown(Folder):
    def test_what_docs_shows_is_made_of_what_was_measured(self):
        made = self.report(json.loads((ROOT / "docs/speed.json").read_text()))
        for name in FILES:
            self.assertEqual((ROOT / "docs" / name).read_text(), made[name], f"docs/{name} is not what report.py makes of docs/speed.json")

    def test_the_readme_shows_the_chart(self):
        self.assertIn("](docs/speed.svg)", (ROOT / "README.md").read_text())


class Networks(Folder):
    def setUp(self):
        super().setUp()
        models.write_networks(self.folder)

    def test_have_a_normalisation_before_or_behind_each_activation_but_the_last(self):
        for name, (widths, activation) in models.NETWORKS.items():
            for order in ("before", "after"):
                nodes = [node.op_type for node in onnx.load(str(self.folder / f"{name} {activation.lower()}, BN {order}.onnx")).graph.node]
                pair = ["BatchNormalization", activation]
                hidden = ["Gemm", *(pair if order == "before" else pair[::-1])]
                self.assertEqual(nodes[:-2], hidden * (len(widths) - 2))
                self.assertEqual(nodes[-2:], ["Gemm", "Softmax" if widths[-1] > 1 else "Sigmoid"])

    def test_fold_to_the_last(self):
        program = pathlib.Path(os.environ["BNRUN_PROGRAMS"]) / "bnfold"
        found = sorted(self.folder.glob("*.onnx"))
        self.assertEqual(len(found), 2 * len(models.NETWORKS))
        for path in found:
            subprocess.run([program, "-q", "--strict", "--no-verify", path, "-o", "out.onnx"], cwd=self.folder, check=True,
                           stdout=subprocess.DEVNULL)
            self.assertNotIn("BatchNormalization", [node.op_type for node in onnx.load(str(self.folder / "out.onnx")).graph.node])

    @unittest.skipUnless("BNRUN_ORT_BENCH" in os.environ, "ONNX Runtime is not there (BNRUN_ORT_DIR)")
    def test_are_measured_in_both_engines(self):
        path = self.folder / "64-32-32-10 relu, BN after.onnx"
        program = pathlib.Path(os.environ["BNRUN_PROGRAMS"]) / "bnfold"
        subprocess.run([program, "-q", path, "-o", path.with_suffix(".folded.onnx")], check=True, stdout=subprocess.DEVNULL)
        done = subprocess.run([os.environ["BNRUN_ORT_BENCH"], path, "-b", "1,8", "-t", "1,2", "--quick"], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        measured = json.loads(done.stdout)
        self.assertEqual([(cell["rows"], cell["threads"]) for cell in measured["cells"]], [(1, 1), (8, 1), (1, 2), (8, 2)])
        for cell in measured["cells"]:
            self.assertEqual(cell["macs_per_row"], 64 * 32 + 32 * 32 + 32 * 10)
            alone = ["bnrun_alone"] * (cell["threads"] > 1)
            self.assertEqual(sorted(cell["microseconds_per_row"]), ["bnrun", *alone, "bnrun_unfolded", "ort", "ort_folded"])
            self.assertTrue(all(time > 0 for time in cell["microseconds_per_row"].values()))
        self.assertIn("64-32-32-10 relu, BN after", self.report(measured)["speed.md"])


if __name__ == "__main__":
    unittest.main()
