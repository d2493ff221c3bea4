"""Models as exporters write them load, run, fold completely and still compute the same (gallery/make_gallery.py)."""

import collections
import functools
import json
import pathlib
import shutil
import tempfile
import unittest

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from programs import MODELS, UNSUPPORTED, ProgramTest

EXPECTATIONS = json.loads((MODELS / "expectations.json").read_text())
GALLERY = EXPECTATIONS["models"]

# Where a shift stays of what was folded: the BatchNormalization or scaler, what stays, and in how many of its channels. Data as
# they come would lose digits in the four that read an input; in the others nothing lets a shift pass.
STAYING = {
    "branches_table_with_embedding": ("bn", "Sub", 1),
    "gemm_input_dynamic": ("bn", "Sub", 1),
    "matmul_input_dynamic": ("bn", "Sub", 1),
    "skl2onnx_scaler": ("Scaler", "Sub", 1),
    "gated": ("bn", "Add", 5),
    "pre_activation": ("bn", "Sub", 3),
}


def inputs_without_data(model):
    """Without the parameters that some exporters list as inputs too."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def for_each_model(check):
    """Makes a test of a method that takes a model's name and its expectations."""
    @functools.wraps(check)
    def test(self):
        self.assertGreater(len(GALLERY), 40)
        for name, expected in GALLERY.items():
            with self.subTest(name):
                check(self, name, expected)

    return test


class GalleryTest(ProgramTest):
    def assert_all_pass(self, root):
        self.program = "bnrun"
        out = self.succeed("test", *(root / name for name in GALLERY)).decode()
        self.assertIn(f"{len(GALLERY)} passed, 0 failed, 0 skipped", out)


class Original(GalleryTest):
    program = "bnrun"

    def test_computes_what_its_architecture_says(self):
        self.assert_all_pass(MODELS)

    @for_each_model
    def test_inferred_shapes_keep_the_batch(self, name, expected):
        layers = json.loads(self.succeed("inspect", MODELS / name / "model.onnx", "--json"))["layers"]
        types = {layer["name"]: layer["type"] for layer in layers}
        self.assertTrue(expected["shapes"])
        for node, dims in expected["shapes"].items():
            self.assertEqual(types[node], f"float32[{','.join(map(str, dims))}]", node)


class Folded(GalleryTest):
    program = "bnfold"

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folded = pathlib.Path(folder.name)
        cls.runs = {}
        for name in GALLERY:
            target = cls.folded / name
            shutil.copytree(MODELS / name / "test_data_set_0", target / "test_data_set_0")
            test = cls()
            test.folder = target
            cls.runs[name] = test.run_program(MODELS / name / "model.onnx", "-o", target / "model.onnx", "--report",
                                              target / "report.json")

    def load(self, name):
        return (onnx.load(str(root / name / "model.onnx"), load_external_data=False) for root in (MODELS, self.folded))

    @for_each_model
    def test_is_written_and_verified(self, name, expected):
        self.assertEqual(self.runs[name].returncode, 0, self.runs[name].stderr.decode())
        report = json.loads((self.folded / name / "report.json").read_text())
        if report["unverified"]:
            self.assertEqual((report["unverified"], expected["folded"]), ("nothing was changed", []))
        else:
            self.assertTrue(report["verification"]["agree"])

    @for_each_model
    def test_has_no_other_operators_than_it_must(self, name, expected):
        _, folded = self.load(name)
        self.assertEqual(dict(collections.Counter(node.op_type for node in folded.graph.node)),
                         expected["operators"])

    @for_each_model
    def test_report_names_what_was_folded_and_why_the_rest_was_not(self, name, expected):
        entries = json.loads((self.folded / name / "report.json").read_text())["batch_normalizations"]
        self.assertEqual(sorted(e["name"] for e in entries if e["folded"]), expected["folded"])
        self.assertEqual({e["name"]: e["reason"] for e in entries if not e["folded"]}, expected["declined"])

    @for_each_model
    def test_says_in_how_many_channels_a_shift_stays(self, name, expected):
        report = json.loads((self.folded / name / "report.json").read_text())["batch_normalizations"]
        said = [(e["name"], e["centred_channels"]) for e in report if e.get("centred_channels")]
        _, folded = self.load(name)
        constants = {tensor.name: tensor for tensor in folded.graph.initializer}
        stays = [(node.name.rsplit("_", 1)[0], node.op_type,
                  int(np.count_nonzero(numpy_helper.to_array(constants[node.input[1]]))))
                 for node in folded.graph.node if node.name.endswith(("_centre", "_shift"))]
        self.assertEqual(stays, [STAYING[name]] if name in STAYING else [])
        self.assertEqual(said, [(node, channels) for node, _, channels in stays])

    @for_each_model
    def test_is_valid_and_looks_the_same_from_outside(self, name, expected):
        original, folded = self.load(name)
        if expected["known_to_checker"]:
            onnx.checker.check_model(str(self.folded / name / "model.onnx"))
        self.assertEqual(inputs_without_data(folded), inputs_without_data(original))
        self.assertEqual(list(folded.graph.output), list(original.graph.output))
        self.assertEqual((folded.ir_version, folded.producer_name, folded.opset_import),
                         (original.ir_version, original.producer_name, original.opset_import))

    @for_each_model
    def test_external_data_stays_external(self, name, expected):
        _, folded = self.load(name)
        external = [t for t in folded.graph.initializer if t.data_location == TensorProto.EXTERNAL]
        self.assertEqual(bool(external), expected["external"])
        files = [path for path in (self.folded / name).iterdir() if path.is_file()]
        self.assertEqual(len(files), 3 if expected["external"] else 2, files)

    @for_each_model
    def test_folds_no_further(self, name, expected):
        self.program = "bnfold"
        again = self.folder / "again"
        again.mkdir(exist_ok=True)
        self.succeed("-q", "--no-verify", self.folded / name / "model.onnx", "-o", again / "model.onnx")
        once, twice = (onnx.load(str(folder / "model.onnx")).graph for folder in (self.folded / name, again))
        self.assertEqual(once, twice)

    def test_computes_the_same_in_place_of_the_original(self):
        self.assert_all_pass(self.folded)


class Unsupported(GalleryTest):
    def test_is_refused_by_name(self):
        self.assertTrue(EXPECTATIONS["unsupported"])
        for name, words in EXPECTATIONS["unsupported"].items():
            model = MODELS / "unsupported" / f"{name}.onnx"
            with self.subTest(name):
                self.program = "bnrun"
                error = self.fail_with(UNSUPPORTED, model).stderr.decode()
                for word in [model.name, *words]:
                    self.assertIn(word, error)

    def test_is_copied_where_there_is_nothing_to_fold(self):
        self.program = "bnfold"
        for name in EXPECTATIONS["unsupported"]:
            with self.subTest(name):
                original = onnx.load(str(MODELS / "unsupported" / f"{name}.onnx"))
                result = self.run_program(MODELS / "unsupported" / f"{name}.onnx", "-o", "out.onnx")
                if result.returncode == 0:
                    self.assertEqual(onnx.load(str(self.folder / "out.onnx")).graph.node, original.graph.node)
                else:  # a type that no tensor here can have
                    self.assertEqual(result.returncode, UNSUPPORTED, result.stderr.decode())


if __name__ == "__main__":
    unittest.main()
