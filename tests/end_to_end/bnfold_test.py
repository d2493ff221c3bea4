"""bnfold as a user calls it."""

import html.parser
import json
import os
import subprocess
import unittest
import xml.etree.ElementTree

import numpy as np
import onnx
from onnx import numpy_helper

from programs import (ANSWER_IS_NO, DONE, INVALID_INPUT, INVALID_MODEL, IO, MODELS, PROGRAMS, UNSUPPORTED, USAGE,
                      ProgramTest)


class BnfoldTest(ProgramTest):
    program = "bnfold"


class Fold(BnfoldTest):
    def test_writes_a_standard_model_that_computes_the_same(self):
        self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx")
        folded = onnx.load(str(self.folder / "out.onnx"))
        onnx.checker.check_model(folded)
        self.assertEqual([node.op_type for node in folded.graph.node], ["Gemm", "Relu", "Gemm"])
        constants = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in folded.graph.initializer}
        h = np.load(MODELS / "x.npy").astype(np.float64)
        for node in folded.graph.node:
            if node.op_type == "Relu":
                h = np.maximum(h, 0)
            else:
                h = h @ constants[node.input[1]] + constants[node.input[2]]
        np.testing.assert_allclose(h, np.load(MODELS / "y_expected.npy"), rtol=1e-5, atol=1e-6)

    def test_says_what_became_of_each(self):
        out = self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx").decode()
        self.assertRegex(out, r"BatchNormalization +1 +0\n")
        self.assertIn("folded    BatchNormalization 'bn' into Gemm 'fc1' (backward, 16 channels)", out)
        self.assertIn("the models agree", out)
        out = self.succeed(MODELS / "blocked.onnx", "-o", "out2.onnx").decode()
        self.assertIn("declined  BatchNormalization 'bn': no_linear_neighbour", out)

    def test_reports_as_json(self):
        self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx", "--report", "r.json")
        report = json.loads((self.folder / "r.json").read_text())
        self.assertTrue(report["complete"])
        self.assertTrue(report["verification"]["agree"])
        self.assertEqual(report["before"]["operators"]["BatchNormalization"], 1)
        self.assertNotIn("BatchNormalization", report["after"]["operators"])
        self.assertEqual(report["batch_normalizations"][0]["into"], "Gemm 'fc1'")

    def test_report_tells_costs_and_how_the_numbers_changed(self):
        self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx", "--report", "r.json")
        report = json.loads((self.folder / "r.json").read_text())
        for when in ["before", "after"]:
            self.assertEqual(report[when]["macs_per_row"], 8 * 16 + 16 * 3)
            self.assertNotIn("microseconds_per_row", report[when])
        self.assertEqual((report["before"]["parameters"], report["after"]["parameters"]), (259, 195))

        def constants(path):
            return {t.name: numpy_helper.to_array(t).astype(np.float64) for t in onnx.load(str(path)).graph.initializer}
        old, new = constants(MODELS / "mlp.onnx"), constants(self.folder / "out.onnx")
        scale = old["bn_scale"] / np.sqrt(old["bn_var"] + 1e-5)
        entry = report["batch_normalizations"][0]
        self.assertAlmostEqual(entry["max_scale"], np.abs(scale).max(), places=6)
        self.assertEqual(entry["max_scale_channel"], np.abs(scale).argmax())
        self.assertEqual(entry["max_weight"], {"before": np.abs(old["fc1_W"]).max(),
                                               "after": np.abs(new["fc1_W_folded"]).max()})
        self.assertEqual(entry["max_bias"], {"before": np.abs(old["fc1_b"]).max(),
                                             "after": np.abs(new["fc1_b_folded"]).max()})
        quantiles = report["verification"]["outputs"][0]["quantiles_absolute"]
        self.assertEqual(sorted(quantiles.values()), [quantiles[q] for q in ["0.5", "0.9", "0.99", "0.999"]])
        self.assertIn(b"conditioning", self.succeed("-v", MODELS / "mlp.onnx", "--dry-run"))

    def test_times_only_when_asked(self):
        out = self.succeed(MODELS / "mlp.onnx", "--dry-run", "--time", "--report", "r.json")
        report = json.loads((self.folder / "r.json").read_text())
        self.assertGreater(report["before"]["microseconds_per_row"], 0)
        self.assertGreater(report["after"]["microseconds_per_row"], 0)
        self.assertIn(b"us per row", out)

    def test_inspect_foretells_the_same(self):
        for model in ["mlp.onnx", "blocked.onnx", "training.onnx", "plain.onnx"]:
            self.succeed(MODELS / model, "--dry-run", "--no-verify", "--report", "r.json")
            report = json.loads((self.folder / "r.json").read_text())
            inspect = subprocess.run([PROGRAMS / "bnrun", "inspect", MODELS / model, "--json"], check=True,
                                     stdout=subprocess.PIPE)
            foretold = json.loads(inspect.stdout)["fold"]
            self.assertEqual(foretold["batch_normalizations"], report["batch_normalizations"])
            self.assertEqual(foretold["after"]["operators"], report["after"]["operators"])

    def test_skip_and_only_and_max_rewrites_leave_it(self):
        for options, reason in [(["--skip", "b*"], "switched_off"), (["--only", "fc*"], "switched_off"),
                                (["--max-rewrites", "0"], "limit_reached")]:
            with self.subTest(options):
                self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx", "--report", "r.json", *options)
                entry = json.loads((self.folder / "r.json").read_text())["batch_normalizations"][0]
                self.assertFalse(entry["folded"])
                self.assertEqual(entry["reason"], reason)
                self.assertTrue(entry["remedy"])
                types = [n.op_type for n in onnx.load(str(self.folder / "out.onnx")).graph.node]
                self.assertIn("BatchNormalization", types)

    def test_keep_leaves_a_simplification_out(self):
        for without, types in [([], ["Gemm"]), (["--without", "gemm"], ["MatMul", "Add"]),
                            (["--without", "constants", "--without", "identity", "--without", "dead"],
                             ["Identity", "MatMul", "Add", "Relu"])]:
            with self.subTest(without):
                self.succeed(MODELS / "plain.onnx", "-o", "out.onnx", *without)
                model = onnx.load(str(self.folder / "out.onnx"))
                self.assertEqual([n.op_type for n in model.graph.node], types)
                self.assertEqual("unused" in [t.name for t in model.graph.initializer], "dead" in without)
        text = self.succeed("fold", "--help").decode()
        for name in ["identity", "rearrange", "gemm", "shorten", "constants", "dead"]:
            self.assertIn(f"{name}: ", text)

    def test_as_inference_converts_and_says_so(self):
        self.fail_with(ANSWER_IS_NO, MODELS / "training.onnx", "-o", "out.onnx", "--strict", "--no-verify")
        out = self.succeed(MODELS / "training.onnx", "-o", "out.onnx", "--as-inference", "--report", "r.json", "--strict")
        self.assertIn(b"converted BatchNormalization 'bn' to inference", out)
        self.assertIn(b"compared with the model converted to inference", out)
        report = json.loads((self.folder / "r.json").read_text())
        self.assertEqual([(c["name"], c["operator"]) for c in report["converted_to_inference"]],
                         [("drop", "Dropout"), ("bn", "BatchNormalization")])
        self.assertIn("converted", report["verification"]["reference"])
        folded = onnx.load(str(self.folder / "out.onnx"))
        onnx.checker.check_model(folded)
        self.assertEqual([n.op_type for n in folded.graph.node], ["Gemm"])
        constants = [numpy_helper.to_array(t).tolist() for t in folded.graph.initializer]
        self.assertCountEqual(constants, [[[2, 0], [0, -1]], [-1, 3]])

    def test_verifies_on_the_users_data_and_tolerance(self):
        self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx", "-i", MODELS / "x.npy", "--report", "r.json")
        verification = json.loads((self.folder / "r.json").read_text())["verification"]
        self.assertEqual((verification["agree"], verification["rows"]), (True, 5))
        os.remove(self.folder / "out.onnx")
        os.remove(self.folder / "r.json")
        self.fail_with(ANSWER_IS_NO, MODELS / "mlp.onnx", "-o", "out.onnx", "--rtol", "0", "--atol", "1e-30",
                       message="does not agree")
        self.fail_with(INVALID_INPUT, MODELS / "mlp.onnx", "-o", "out.onnx", "-i", "z=" + str(MODELS / "x.npy"))

    def test_a_pattern_that_matches_nothing_is_likely_mistyped(self):
        for options in [["--skip", "dence*"], ["--only", "fc*", "--skip", "dence*"], ["--only", "dence*"]]:
            with self.subTest(options):
                self.fail_with(USAGE, MODELS / "mlp.onnx", "-o", "out.onnx", *options, message="'dence*'")

    def test_dry_run_and_quiet(self):
        out = self.succeed(MODELS / "mlp.onnx", "--dry-run")
        self.assertIn(b"folded", out)
        self.assertEqual(self.succeed("-q", MODELS / "mlp.onnx", "--dry-run"), b"")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_half_precision_is_held_to_what_it_can_hold(self):
        model = onnx.load(str(MODELS / "mlp.onnx"))
        for tensor in model.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
        for port in [*model.graph.input, *model.graph.output]:
            port.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
        del model.graph.value_info[:]
        onnx.save(model, str(self.folder / "half.onnx"))
        self.succeed("half.onnx", "-o", "folded.onnx")
        self.fail_with(ANSWER_IS_NO, "half.onnx", "-o", "f.onnx", "--rtol", "1e-6", "--atol", "1e-6")

    def save(self, nodes, inputs, outputs, constants):
        """A model in model.onnx; inputs and outputs: name -> dimensions."""
        helper = onnx.helper
        ports = [[helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims) for name, dims in ports.items()]
                 for ports in (inputs, outputs)]
        tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
        graph = helper.make_graph(nodes, "g", *ports, tensors)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.custom", 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(self.folder / "model.onnx"))

    def normalised_gemm(self, x, y):
        make = onnx.helper.make_node
        ones = np.ones(2, np.float32)
        return ([make("Gemm", [x, "W"], ["h"]), make("BatchNormalization", ["h", "two", "one", "one", "one"], [y])],
                {"W": np.ones((3, 2), np.float32), "one": ones, "two": 2 * ones})

    def test_what_cannot_be_run_is_folded_and_said_to_be_unverified(self):
        nodes, constants = self.normalised_gemm("x", "n")
        nodes.append(onnx.helper.make_node("Frobnicate", ["n"], ["y"], name="odd", domain="com.custom"))
        self.save(nodes, {"x": ["N", 3]}, {"y": ["N", 2]}, constants)
        result = self.run_program("model.onnx", "-o", "out.onnx", "--report", "r.json")
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertIn("not verified", result.stderr.decode())
        self.assertIn("'odd' (Frobnicate)", result.stderr.decode())
        self.assertIn("--no-verify", result.stderr.decode())
        self.assertEqual([n.op_type for n in onnx.load(str(self.folder / "out.onnx")).graph.node], ["Gemm", "Frobnicate"])
        report = json.loads((self.folder / "r.json").read_text())
        self.assertIsNone(report["verification"])
        self.assertIn("Frobnicate", report["unverified"])

    def test_nothing_folded_is_nothing_to_verify(self):
        self.save([onnx.helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, {"y": ["N", 3]}, {})
        self.succeed("model.onnx", "-o", "out.onnx", "--report", "r.json")
        self.assertEqual(json.loads((self.folder / "r.json").read_text())["unverified"], "nothing was changed")

    def test_outputs_that_are_all_infinite_are_no_verification(self):
        nodes, constants = self.normalised_gemm("x", "y")
        constants["one"] = np.full(2, np.inf, np.float32)
        self.save(nodes, {"x": ["N", 3]}, {"y": ["N", 2]}, constants)
        result = self.run_program("verify", "model.onnx", "model.onnx")
        self.assertEqual(result.returncode, ANSWER_IS_NO)
        self.assertIn("nothing was compared", result.stdout.decode())

    def test_open_sizes_that_must_be_even(self):
        helper = onnx.helper
        nodes = [helper.make_node("MaxPool", ["x"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
                 helper.make_node("ConvTranspose", ["half", "W"], ["again"], kernel_shape=[2, 2], strides=[2, 2]),
                 helper.make_node("Concat", ["x", "again"], ["joined"], axis=1),
                 helper.make_node("Mul", ["joined", "s"], ["y"])]
        constants = [numpy_helper.from_array(np.ones((1, 1, 2, 2), np.float32), "W"),
                     numpy_helper.from_array(np.array([2], np.float32), "s")]
        ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", channels, "H", "W_"])
                 for name, channels in [("x", 1), ("y", 2)]]
        graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
                  str(self.folder / "unet.onnx"))
        self.succeed("unet.onnx", "-o", "folded.onnx")

    def test_external_data_always(self):
        self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx", "--external-data", "always")
        self.assertEqual(len(list(self.folder.iterdir())), 2)
        self.succeed("verify", MODELS / "mlp.onnx", "out.onnx")

    def test_replaces_an_existing_file(self):
        self.write("out.onnx", "old")
        self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx")
        self.succeed("verify", MODELS / "mlp.onnx", "out.onnx")
        self.assertEqual(len(list(self.folder.iterdir())), 1)

    def test_strict_refuses_what_is_not_complete(self):
        self.fail_with(ANSWER_IS_NO, MODELS / "blocked.onnx", "-o", "out.onnx", "--strict",
                       message="not everything could be folded")
        self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx", "--strict")


class Page(BnfoldTest):
    def page(self, *arguments):
        self.succeed(*arguments, "--report", "r.html")
        text = (self.folder / "r.html").read_text()
        html.parser.HTMLParser().feed(text)
        return text, xml.etree.ElementTree.fromstring(text)

    @staticmethod
    def tables(root):
        """The rows of each table below its heading, as lists of texts."""
        headings = [h.text for h in root.iter("h2")]
        sections = [div for div in root.iter("div") if div.get("class") == "scroll"]
        return {heading: [["".join(cell.itertext()) for cell in row] for row in section.iter("tr")]
                for heading, section in zip(headings, sections, strict=True)}

    def test_has_every_part(self):
        text, root = self.page(MODELS / "mlp.onnx", "-o", "out.onnx")
        tables = self.tables(root)
        self.assertEqual(list(tables), ["Before and after", "BatchNormalization and its disguises", "The graph",
                                        "Comparison with the model as it was", "What this speaks of"])
        self.assertIn(["BatchNormalization", "1", "0"], tables["Before and after"])
        self.assertIn(["MACs per row", "176", "176"], tables["Before and after"])
        (name, form, fate, *_), = tables["BatchNormalization and its disguises"][1:]
        self.assertEqual((name, form, fate), ("bn", "BatchNormalization", "into Gemm 'fc1' (backward, 16 channels)"))
        self.assertEqual([row[0] for row in tables["Comparison with the model as it was"][1:]], ["y"])
        self.assertIn("1 of 1 folded.", text)
        self.assertIn("agrees with the model as it was", text)
        self.assertEqual(len(root.findall(".//{http://www.w3.org/2000/svg}svg[@viewBox]")), 4)  # bars, errors, the graph twice

    def test_needs_nothing_else(self):
        text, _ = self.page(MODELS / "mlp.onnx", "-o", "out.onnx")
        text = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        for outside in ["http:", "https:", "<script", "src=", "href=", "url(", "@import", "<link"]:
            self.assertNotIn(outside, text)

    def test_one_row_per_entry_coloured_by_fate(self):
        for model, fate, what in [("mlp.onnx", "folded", "into Gemm"), ("blocked.onnx", "declined", "no_linear_neighbour")]:
            _, root = self.page(MODELS / model, "--dry-run", "--no-verify")
            rows = [row for row in root.iter("tr") if row.get("class")]
            self.assertEqual([row.get("class") for row in rows], [fate])
            self.assertIn(what, "".join(rows[0].itertext()))

    def test_names_are_escaped(self):
        odd = self.write("a<b>&'.onnx", (MODELS / "oddly_named.onnx").read_bytes())
        text, root = self.page(odd, "-o", "out.onnx")
        self.assertNotIn("<script", text)
        self.assertNotIn("<b>", text)
        tables = self.tables(root)
        self.assertEqual(tables["BatchNormalization and its disguises"][1][0], "<b>&\"bn'")
        self.assertEqual(tables["Comparison with the model as it was"][1][0], "</td><script>y")
        self.assertIn("a<b>&'.onnx", root.find("body/h1").text)

    def test_says_what_was_converted(self):
        _, root = self.page(MODELS / "training.onnx", "-o", "out.onnx", "--as-inference")
        tables = self.tables(root)
        self.assertEqual([row[:2] for row in tables["Converted to inference"][1:]],
                         [["drop", "Dropout"], ["bn", "BatchNormalization"]])
        self.assertTrue(any(title.startswith("Comparison with the model converted to inference") for title in tables))

    def test_is_written_although_the_models_disagree(self):
        self.run_program(MODELS / "mlp.onnx", "-o", "out.onnx", "--rtol", "0", "--atol", "1e-30", "--report", "r.html")
        text = (self.folder / "r.html").read_text()
        self.assertIn("does not agree", text)
        self.assertNotIn("Written to", text)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["r.html"])


class Verify(BnfoldTest):
    def setUp(self):
        super().setUp()
        self.succeed(MODELS / "mlp.onnx", "-o", "out.onnx", "-q")

    def test_agreement(self):
        self.assertIn(b"the models agree", self.succeed("verify", MODELS / "mlp.onnx", "out.onnx"))
        report = json.loads(self.succeed("verify", MODELS / "mlp.onnx", "out.onnx", "-i", MODELS / "x.npy",
                                         "--json"))
        self.assertEqual((report["agree"], report["rows"]), (True, 5))
        self.assertLess(report["outputs"][0]["max_absolute"], 1e-5)

    def test_difference_is_found_and_located(self):
        result = self.fail_with(ANSWER_IS_NO, "verify", "out.onnx", MODELS / "mlp_changed.onnx")
        self.assertIn(b"they part at 'y', made by node 'fc2' (Gemm)", result.stdout)
        self.assertIn(b"the models differ", result.stdout)

    def test_a_wide_tolerance_agrees(self):
        self.succeed("verify", "out.onnx", MODELS / "mlp_changed.onnx", "--atol", "1", "--rows", "3", "--seed",
                     "5", "--range", "-1:1")

    def test_models_that_cannot_be_compared(self):
        mlp, two = MODELS / "mlp.onnx", MODELS / "two.onnx"
        self.assertIn(b"the models differ: the second model has no input 'x'",
                      self.fail_with(ANSWER_IS_NO, "verify", mlp, two).stdout)
        result = self.fail_with(ANSWER_IS_NO, "verify", two, mlp, "--json")
        self.assertEqual(json.loads(result.stdout)["why"], "the second model has no input 'a'")

    def test_says_on_what_the_verdict_stands(self):
        text = self.succeed("verify", MODELS / "mlp.onnx", "out.onnx", "--seed", "7").decode()
        self.assertIn("seed 7", text)
        self.assertIn("input 'x' [1,8]: ", text)
        self.assertIn("in double precision", text)
        report = json.loads(self.succeed("verify", MODELS / "mlp.onnx", "out.onnx", "--json", "--range", "0:1", "--budget", "0"))
        self.assertEqual((report["verdict"], report["inputs"][0]["from"], report["seed"], report["tolerance"], report["complete"]),
                         ("agree", "0:1", 1, None, False))
        report = json.loads(self.succeed("verify", MODELS / "mlp.onnx", "out.onnx", "--json", "--rtol", "0.1"))
        self.assertEqual(report["tolerance"], {"rtol": 0.1, "atol": 1e-5})

    def test_shapes_can_be_given(self):
        out = self.succeed("verify", MODELS / "mlp.onnx", "out.onnx", "--json", "--shape", "x:9,8")
        self.assertEqual(json.loads(out)["inputs"][0]["shape"], [9, 8])
        self.fail_with(INVALID_INPUT, "verify", MODELS / "mlp.onnx", "out.onnx", "--shape", "x:9,7", message="[9,7]")


class BadInput(BnfoldTest):
    def test_models(self):
        for model, code, message in [
                ("missing.onnx", IO, "no such file"),
                ("truncated.onnx", INVALID_MODEL, "truncated.onnx"),
                ("foreign.onnx", INVALID_MODEL, "foreign.onnx"),
                ("clash.onnx", INVALID_MODEL, "node 'fc' (Gemm)")]:
            with self.subTest(model):
                self.fail_with(code, MODELS / model, "-o", "out.onnx", message=message)
                self.fail_with(code, "verify", MODELS / model, MODELS / model, message=message)

    def test_models_that_cannot_be_run(self):
        for model, message in [("unknown.onnx", "Frobnicate"), ("namesake.onnx", "domain 'com.custom'")]:
            with self.subTest(model):
                self.fail_with(UNSUPPORTED, "verify", MODELS / model, MODELS / model, message=message)

    def test_usage(self):
        mlp = MODELS / "mlp.onnx"
        for arguments in [[mlp], [mlp, "-o"], [mlp, "-o", "x", "--nonsense"], ["verify", mlp],
                          ["verify", mlp, mlp, "--range", "1"], ["verify", mlp, mlp, "--range", "nan:1"], ["verify", mlp, mlp, "--range", "0:inf"],
                          ["verify", mlp, mlp, "--rtol", "nan"], ["verify", mlp, mlp, "--budget", "-1"], ["verify", mlp, mlp, "--atol", "-1"], ["verify", mlp, mlp, "--rows", "0"],
                          ["verify", mlp, mlp, "--shape", "x"], ["verify", mlp, mlp, "--shape", "x:1,"], [mlp, "-o", "x", "--no-verify", "--rtol", "1"],
                          [mlp, "-o", "x", "--range", "1"],
                          [mlp, "-o", "x", "--external-data", "maybe"], [mlp, "--dry-run", "--report", "r.txt"],
                          [mlp, "--dry-run", "--report", "-"], [mlp, "--dry-run", "--report", "html"],
                          [mlp, "-o", "x", "--max-rewrites", "many"], [mlp, "-o", "x", "--without", "nothing"]]:
            with self.subTest(arguments):
                self.fail_with(USAGE, *arguments)

    def test_unwritable_targets(self):
        self.write("file", "")
        (self.folder / "folder").mkdir()
        for target in ["missing/out.onnx", "file/out.onnx", "folder"]:
            with self.subTest(target):
                self.fail_with(IO, MODELS / "mlp.onnx", "-o", target, message=target)
        self.fail_with(IO, MODELS / "mlp.onnx", "--dry-run", "--report", "missing/r.json", message="missing/r.json")

    def test_the_target_is_checked_before_the_work(self):
        broken = MODELS / "truncated.onnx"
        self.fail_with(IO, broken, "-o", "missing/out.onnx")
        self.fail_with(IO, broken, "-o", "out.onnx", "--report", "missing/r.json")

    def test_the_input_is_never_replaced(self):
        source = self.write("model.onnx", (MODELS / "mlp.onnx").read_bytes())
        (self.folder / "link.onnx").symlink_to("model.onnx")
        for target in ["model.onnx", "./model.onnx", "link.onnx"]:
            self.fail_with(USAGE, source, "-o", target, message="is the input")
        self.assertEqual(source.read_bytes(), (MODELS / "mlp.onnx").read_bytes())

    def test_weights_of_the_input_are_never_replaced(self):
        helper = onnx.helper
        W = numpy_helper.from_array(np.ones((32, 32), np.float32), "W")
        ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 32]) for name in "xy"]
        graph = helper.make_graph([helper.make_node("MatMul", ["x", "W"], ["y"])], "g", ports[:1], ports[1:], [W])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
                  str(self.folder / "plain.onnx"))
        self.succeed("plain.onnx", "-o", "b.onnx", "--external-data", "always")
        model = onnx.load(str(self.folder / "b.onnx"), load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = "c.onnx.data"
        (self.folder / "b.onnx.data").rename(self.folder / "c.onnx.data")
        (self.folder / "a.onnx").write_bytes(model.SerializeToString())
        weights = (self.folder / "c.onnx.data").read_bytes()
        for target in [["-o", "c.onnx.data"], ["-o", "c.onnx", "--external-data", "always"]]:
            self.fail_with(IO, "a.onnx", *target)
            self.assertEqual((self.folder / "c.onnx.data").read_bytes(), weights)
        self.succeed("a.onnx", "-o", "d.onnx", "--external-data", "always")

    def test_what_is_no_plain_file_stays_what_it_is(self):
        os.symlink("behind.onnx", self.folder / "link.onnx")
        (self.folder / "behind.onnx").write_bytes(b"old")
        self.succeed(MODELS / "mlp.onnx", "-o", "link.onnx")
        self.assertTrue((self.folder / "link.onnx").is_symlink())
        onnx.load(str(self.folder / "behind.onnx"))
        os.mkfifo(self.folder / "pipe")
        with subprocess.Popen(["cat", str(self.folder / "pipe")], stdout=subprocess.PIPE) as reader:
            self.succeed(MODELS / "mlp.onnx", "-o", "pipe")
            piped = reader.communicate(timeout=30)[0]
        self.assertTrue((self.folder / "pipe").is_fifo())
        self.assertEqual(piped, (self.folder / "behind.onnx").read_bytes())

    def test_every_file_has_one_purpose(self):
        mlp = MODELS / "mlp.onnx"
        np.save(self.folder / "x.npy", np.load(MODELS / "x.npy"))
        rows = (self.folder / "x.npy").read_bytes()
        for arguments in [["-o", "same.json", "--report", "./same.json"], ["-o", "x.npy", "-i", "x.npy"]]:
            self.fail_with(USAGE, mlp, *arguments)
        self.assertEqual((self.folder / "x.npy").read_bytes(), rows)
        self.assertFalse((self.folder / "same.json").exists())

    def test_standard_output(self):
        result = self.run_program(MODELS / "mlp.onnx", "-o", "-")
        self.assertEqual(result.returncode, 0)
        self.assertIn(b"the models agree", result.stderr)
        self.assertEqual([n.op_type for n in onnx.load_from_string(result.stdout).graph.node], ["Gemm", "Relu", "Gemm"])
        self.assertEqual(list(self.folder.iterdir()), [])
        self.fail_with(USAGE, MODELS / "mlp.onnx", "-o", "-", "--external-data", "always")
        terminal, program_side = os.openpty()
        try:
            self.fail_with(USAGE, MODELS / "mlp.onnx", "-o", "-", stdout=program_side, message="terminal")
        finally:
            os.close(terminal)
            os.close(program_side)

    def test_data_for_verify(self):
        ragged = self.write("ragged.csv", "1,2,3,4,5,6,7,8\n1,2\n")
        mlp = MODELS / "mlp.onnx"
        self.fail_with(INVALID_INPUT, "verify", mlp, mlp, "-i", ragged, message="line 2 has 2 columns")
        self.fail_with(IO, "verify", mlp, mlp, "-i", "none.csv", message="none.csv")


class Help(BnfoldTest):
    def test_every_help_has_an_example(self):
        self.assertIn(b"verify", self.succeed("--help"))
        for command in ["fold", "verify"]:
            self.assertIn(b"Example:\n  bnfold", self.succeed(command, "--help"))

    def test_version(self):
        self.assertRegex(self.succeed("--version").decode(), r"^bnfold \d+\.\d+\.\d+\n\S+ \S+; kernels for .*\n$")

    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_full_standard_output(self):
        with open("/dev/full", "wb") as full:
            self.fail_with(IO, MODELS / "mlp.onnx", "--dry-run", stdout=full, message="standard output")


if __name__ == "__main__":
    unittest.main()
