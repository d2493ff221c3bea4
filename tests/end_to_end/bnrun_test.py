"""bnrun as a user calls it."""

import gzip
import json
import os
import pickle
import shutil
import signal
import subprocess
import unittest

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from programs import (ANSWER_IS_NO, INVALID_INPUT, INVALID_MODEL, IO, MODELS, PROGRAMS, RESOURCE_LIMIT,
                      UNSUPPORTED, USAGE, ProgramTest)

MLP = MODELS / "mlp.onnx"


class BnrunTest(ProgramTest):
    program = "bnrun"

    def setUp(self):
        super().setUp()
        self.x = np.load(MODELS / "x.npy")
        self.expected = np.load(MODELS / "y_expected.npy")

    def check(self, actual):
        self.assertEqual(actual.shape, self.expected.shape)
        np.testing.assert_allclose(actual, self.expected, rtol=1e-5, atol=1e-6)

    def save_csv(self, name="x.csv", header=True):
        lines = [",".join(map(repr, map(float, row))) for row in self.x]
        return self.write(name, "\n".join([",".join("abcdefgh")] * header + lines) + "\n")

    def scores(self, *arguments, **options):
        """The CSV on standard output as an array."""
        lines = self.succeed(*arguments, **options).decode().splitlines()
        self.assertEqual(lines[0], "y_0,y_1,y_2")
        return np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])


class Inputs(BnrunTest):
    def test_npy(self):
        self.check(self.scores(MLP, "-i", MODELS / "x.npy"))
        self.check(self.scores("run", MLP, "-i", f"x={MODELS / 'x.npy'}"))

    def test_npy_in_other_layouts(self):
        np.save(self.folder / "fortran.npy", np.asfortranarray(self.x))
        np.save(self.folder / "big.npy", self.x.astype(">f4"))
        self.check(self.scores(MLP, "-i", "fortran.npy"))
        self.check(self.scores(MLP, "-i", "big.npy"))

    def test_npz_stored_and_deflated(self):
        np.savez(self.folder / "stored.npz", x=self.x)
        np.savez_compressed(self.folder / "deflated.npz", x=self.x)
        self.check(self.scores(MLP, "-i", "stored.npz"))
        self.check(self.scores(MLP, "-i", "deflated.npz"))

    def test_csv_with_and_without_header(self):
        self.check(self.scores(MLP, "-i", self.save_csv()))
        self.check(self.scores(MLP, "-i", self.save_csv(header=False)))

    def test_columns_are_found_by_the_names_the_model_was_trained_on(self):
        rows = ["label," + ",".join("hgfedcba")]
        rows += ["text," + ",".join(map(repr, map(float, row[::-1]))) for row in self.x]
        self.write("shuffled.csv", "\n".join(rows))
        self.check(self.scores(MODELS / "mlp_features.onnx", "-i", "shuffled.csv"))
        self.fail_with(INVALID_INPUT, MLP, "-i", "shuffled.csv", message="rows of 9 columns do not fit")

    def test_columns_that_are_missing_are_named_and_may_be_taken_by_position(self):
        rows = [",".join(map(repr, map(float, row))) for row in self.x]
        model = MODELS / "mlp_features.onnx"
        for header, message in [
                ("a,b,c,d,e,f,g,H", "it lacks 'h' (nearest: 'H'); --by-position"),
                ("a,b,c,d,e,f,g,\" h\"", "it lacks 'h' (nearest: ' h')"),
                ("p,q,r,s,t,u,v,w", "it lacks 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h';")]:
            with self.subTest(header):
                self.write("renamed.csv", "\n".join([header, *rows]))
                self.fail_with(INVALID_INPUT, model, "-i", "renamed.csv", message=message)
                self.check(self.scores(model, "-i", "renamed.csv", "--by-position"))
        self.check(self.scores(model, "-i", self.save_csv(header=False)))
        self.write("spaced.csv", "\n".join([" a ,b, c,\td,e ,f,g, h", *rows]).replace(",", ", "))
        self.check(self.scores(model, "-i", "spaced.csv"))

    def test_how_a_table_was_read_is_told_and_may_be_said(self):
        text = self.save_csv().read_text().replace(",", ";").replace(".", ",")
        self.write("semicolons.csv", text)
        self.check(self.scores(MLP, "-i", "semicolons.csv"))
        self.check(self.scores(MLP, "-i", "semicolons.csv", "--sep", ";", "--decimal", ",", "--header", "yes"))
        result = self.run_program(MLP, "-i", "semicolons.csv", "-v")
        self.assertIn(b"semicolons.csv: the first line is a header: 'a' is unlike what is below it; columns are separated "
                      b"by ';', decimals by ','", result.stderr)
        self.write("counted.csv", ",".join(map(str, range(8))) + "\n" + ",".join("1" * 8) + "\n")
        self.fail_with(INVALID_INPUT, MLP, "-i", "counted.csv", message="say --header yes or --header no")
        self.assertEqual(len(self.scores(MLP, "-i", "counted.csv", "--header", "no")), 2)
        self.assertEqual(len(self.scores(MLP, "-i", "counted.csv", "--header", "yes")), 1)

    def test_missing_values_need_a_model_that_knows_them(self):
        good = ",".join("1" * 8) + "\n"
        for spelling in ["", "NA", "?", "null"]:
            self.write("blank.csv", good + good.replace("1", spelling, 1))
            self.fail_with(INVALID_INPUT, MLP, "-i", "blank.csv",
                           message=f"line 2, column 1 (column_1): '{spelling}' is a missing value")
        self.write("nan.csv", good + good.replace("1", "nan", 1))
        self.assertTrue(np.isnan(self.scores(MLP, "-i", "nan.csv")[1]).all())

    def test_gzip(self):
        plain = self.save_csv()
        self.write("x.csv.gz", gzip.compress(plain.read_bytes()) + bytes(512))
        self.check(self.scores(MLP, "-i", "x.csv.gz"))

    def test_pb(self):
        self.write("x.pb", numpy_helper.from_array(self.x).SerializeToString())
        self.check(self.scores(MLP, "-i", "x.pb"))

    def test_idx_images_become_rows(self):
        pixels = np.arange(2 * 2 * 4, dtype=np.uint8).reshape(2, 2, 4)
        header = bytes([0, 0, 8, 3]) + b"".join(int(n).to_bytes(4, "big") for n in pixels.shape)
        self.write("images", header + pixels.tobytes())
        np.save(self.folder / "rows.npy", pixels.reshape(2, 8).astype(np.float32))
        self.assertEqual(self.succeed(MLP, "-i", "images"), self.succeed(MLP, "-i", "rows.npy"))

    def test_standard_input_of_any_format(self):
        self.check(self.scores(MLP, "-i", "-", stdin=self.save_csv().read_bytes()))
        self.check(self.scores(MLP, "-i", "x=-", stdin=(MODELS / "x.npy").read_bytes()))
        self.check(self.scores(MLP, "-i", "-", stdin=gzip.compress(self.save_csv().read_bytes())))

    def test_several_inputs_by_order_and_by_name(self):
        a = self.write("a.csv", "1,2\n3,4\n")
        b = self.write("b.csv", "10,20\n30,40\n")
        expected = b"sum_0,sum_1,product_0,product_1\n11,22,10,40\n33,44,90,160\n"
        two = MODELS / "two.onnx"
        self.assertEqual(self.succeed(two, "-i", a, "-i", b), expected)
        self.assertEqual(self.succeed(two, "-i", f"b={b}", "-i", a), expected)
        np.savez(self.folder / "ab.npz", b=np.float32([[10, 20], [30, 40]]), a=np.float32([[1, 2], [3, 4]]))
        self.assertEqual(self.succeed(two, "-i", "ab.npz"), expected)


class Outputs(BnrunTest):
    def test_files_by_ending(self):
        x = MODELS / "x.npy"
        self.assertEqual(self.succeed(MLP, "-i", x, "-o", "y.npy"), b"")
        y = np.load(self.folder / "y.npy")
        self.assertEqual(y.dtype, np.float32)
        self.check(y)
        self.succeed(MLP, "-i", x, "-o", "y.npz")
        np.testing.assert_array_equal(np.load(self.folder / "y.npz")["y"], y)
        self.succeed(MLP, "-i", x, "-o", "y.csv")
        np.testing.assert_array_equal(
            np.loadtxt(self.folder / "y.csv", delimiter=",", skiprows=1).astype(np.float32), y)
        self.succeed(MLP, "-i", x, "-o", "y.json")
        np.testing.assert_array_equal(np.float32(json.loads((self.folder / "y.json").read_text())["y"]), y)
        self.assertEqual(len(list(self.folder.iterdir())), 4)

    def test_formats_on_standard_output(self):
        x = MODELS / "x.npy"
        self.check(np.array(json.loads(self.succeed(MLP, "-i", x, "-f", "json"))["y"]))
        self.write("y", self.succeed(MLP, "-i", x, "-f", "npy"))
        self.check(np.load(self.folder / "y"))
        self.succeed(MLP, "-i", x, "-f", "npy", "-o", "named.data")
        self.check(np.load(self.folder / "named.data"))

    def test_several_outputs_in_one_archive(self):
        a = self.write("a.csv", "1,2\n")
        self.succeed(MODELS / "two.onnx", "-i", a, "-i", a, "-o", "both.npz")
        both = np.load(self.folder / "both.npz")
        self.assertEqual(both.files, ["sum", "product"])
        np.testing.assert_array_equal(both["product"], np.float32([[1, 4]]))

    def test_options_of_the_session(self):
        for options in [["--fold", "off"], ["--fold", "on"], ["--kernels", "blas"], ["--kernels", "packed"],
                        ["--kernels", "auto"], ["--kernels", "fast"], ["-t", "2"], ["-t", "0"]]:
            with self.subTest(options):
                self.check(self.scores(MLP, "-i", MODELS / "x.npy", *options))

    def test_fast_kernels_differ_in_the_last_digits_alone(self):
        np.save(self.folder / "x.npy", np.random.default_rng(2).standard_normal((2, 32, 24, 24)).astype(np.float32))
        results = {}
        for kernels in ("auto", "fast"):
            self.succeed(MODELS / "picture.onnx", "-i", "x.npy", "--kernels", kernels, "-o", "y.npy")
            results[kernels] = np.load(self.folder / "y.npy")
        self.assertTrue((results["auto"] != results["fast"]).any())
        np.testing.assert_allclose(results["fast"], results["auto"], rtol=0, atol=1e-4)

    def test_threads_that_cannot_be_started_are_done_without(self):
        for limit in (300 << 20, 800 << 20):
            if self.run_program("--version", address_space=limit).returncode != 0:
                self.skipTest("sanitizers reserve more address space than the limit")
            result = self.run_program(MLP, "-i", MODELS / "x.npy", "-t", 1000, address_space=limit)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertRegex(result.stderr.decode(), r"^of 1000 threads the system started \d+: .*\n$")
            self.assertEqual(result.stdout, self.succeed(MLP, "-i", MODELS / "x.npy"))
        self.fail_with(RESOURCE_LIMIT, MLP, "-i", MODELS / "x.npy", "-t", 100000,
                       message="100000 threads are more than the 1024 that a session may have")

    def test_verbose_tells_of_folding_on_standard_error(self):
        result = self.run_program(MLP, "-i", MODELS / "x.npy", "-v")
        self.assertIn(b"folded    BatchNormalization 'bn' into Gemm 'fc1'", result.stderr)

    def test_replaces_a_file_and_writes_to_devices(self):
        self.write("y.csv", "old")
        self.succeed(MLP, "-i", MODELS / "x.npy", "-o", "y.csv")
        self.assertTrue((self.folder / "y.csv").read_text().startswith("y_0"))
        self.succeed(MLP, "-i", MODELS / "x.npy", "-o", "/dev/null", "-f", "csv")
        self.assertFalse(os.path.isfile("/dev/null"))
        self.check(self.scores(MLP, "-i", MODELS / "x.npy", "-o", "/dev/stdout", "-f", "csv"))

    def test_keeps_links(self):
        target = self.write("target.csv", "old")
        (self.folder / "link.csv").symlink_to("target.csv")
        self.succeed(MLP, "-i", MODELS / "x.npy", "-o", "link.csv")
        self.assertTrue((self.folder / "link.csv").is_symlink())
        self.assertTrue(target.read_text().startswith("y_0"))


class Inspect(BnrunTest):
    def test_text(self):
        out = self.succeed("inspect", MLP).decode()
        self.assertIn("opset     ai.onnx 13 (IR version 8)", out)
        self.assertIn("input     x: float32[N,8]", out)
        self.assertRegex(out, r"1  Gemm +fc1 +float32\[N,16\] +144 +128\n")
        self.assertRegex(out, r"total +259 +176\n")
        self.assertIn("BatchNormalization 'bn' into Gemm 'fc1'", out)

    def test_json(self):
        model = json.loads(self.succeed("inspect", MLP, "--json"))
        self.assertEqual([layer["operator"] for layer in model["layers"]],
                         ["Gemm", "BatchNormalization", "Relu", "Gemm"])
        self.assertEqual((model["parameters"], model["parameter_bytes"], model["macs_per_row"]),
                         (259, 4 * 259, 8 * 16 + 16 * 3))
        self.assertEqual(model["inputs"][0]["shape"], ["N", 8])
        self.assertTrue(model["fold"]["batch_normalizations"][0]["folded"])

    def test_names_never_reach_the_terminal_raw(self):
        odd = "\x1b]0;\x07\x9b2J\n\u202e"
        x, y = (helper.make_tensor_value_info(name + odd, TensorProto.FLOAT, ["N" + odd, 2]) for name in "xy")
        parameters = [numpy_helper.from_array(np.ones(2, np.float32), name) for name in "sbmv"]
        nodes = [helper.make_node("BatchNormalization", [x.name, *"sbmv"], ["h"], "bn" + odd),
                 helper.make_node("Foo" + odd, ["h"], [y.name], "foo" + odd, domain="dom" + odd)]
        model = helper.make_model(helper.make_graph(nodes, odd, [x], [y], parameters), producer_name="by" + odd,
                                  opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid("dom" + odd, 1)])
        self.write("odd.onnx", model.SerializeToString())
        text = self.succeed("inspect", "odd.onnx").decode()
        for line in text.splitlines():
            self.assertTrue(line.isprintable(), line)
        shown = r"\x1b]0;\x07\u009b2J\n\u202e"
        for expected in ["by", "x", "N", "bn", "Foo", "dom"]:
            self.assertIn(expected + shown, text)
        self.assertEqual(json.loads(self.succeed("inspect", "odd.onnx", "--json"))["layers"][0]["name"], "bn" + odd)
        self.fail_with(UNSUPPORTED, "odd.onnx", message="foo" + shown)
        self.fail_with(IO, "missing" + odd, message=r"missing\x1b")
        self.write("odd\x1b.csv", "1,2\n")
        self.fail_with(INVALID_INPUT, MLP, "-i", "odd\x1b.csv", message=r"odd\x1b.csv")

    def test_what_cannot_run_can_still_be_looked_at(self):
        out = self.succeed("inspect", MODELS / "unknown.onnx").decode()
        self.assertIn("example.org.Frobnicate", out)
        self.assertIn("cannot run: ", out)


class Test(BnrunTest):
    def setUp(self):
        super().setUp()
        data = self.folder / "suite" / "mlp" / "test_data_set_0"
        data.mkdir(parents=True)
        (data.parent / "model.onnx").write_bytes(MLP.read_bytes())
        (data / "input_0.pb").write_bytes(numpy_helper.from_array(self.x).SerializeToString())
        self.output = data / "output_0.pb"
        self.output.write_bytes(
            numpy_helper.from_array(self.expected.astype(np.float32)).SerializeToString())
        odd = self.folder / "suite" / "odd"
        shutil.copytree(data.parent, odd)
        shutil.copy(MODELS / "unknown.onnx", odd / "model.onnx")

    def test_expands_folders_and_counts(self):
        out = self.succeed("test", "suite").decode()
        self.assertRegex(out, r"^PASS mlp\nSKIP odd: .*Frobnicate.*\n1 passed, 0 failed, 1 skipped\n$")
        self.assertEqual(self.succeed("test", "--quiet", "suite/mlp/"), b"1 passed, 0 failed, 0 skipped\n")

    def test_a_wrong_answer_fails(self):
        self.output.write_bytes(
            numpy_helper.from_array(self.expected.astype(np.float32) + np.float32(0.1)).SerializeToString())
        result = self.run_program("test", "suite", "-q")
        self.assertEqual(result.returncode, ANSWER_IS_NO)
        self.assertRegex(result.stdout.decode(), r"^FAIL mlp: .*\n0 passed, 1 failed, 1 skipped\n$")

    def test_nothing_to_test_fails(self):
        result = self.run_program("test", "suite/mlp/test_data_set_0")
        self.assertEqual(result.returncode, ANSWER_IS_NO)


def constant(name, values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype), name)


class HostileModels(BnrunTest):
    """Small files that claim much, name odd files, or say a thing twice."""

    def save(self, *nodes, constants=(), change=None, name="model.onnx", opset=13):
        """A model of `nodes` from float x[2] to y; `change` may edit the message."""
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        nodes = nodes or [helper.make_node("Add", ["x", "c"], ["y"])]
        constants = constants or [constant("c", [1, 2], np.float32)]
        model = helper.make_model(helper.make_graph(list(nodes), "g", [x], [y], list(constants)),
                                  opset_imports=[helper.make_opsetid("", opset)])
        if change:
            change(model.graph)
        return self.write(name, model.SerializeToString())

    def refuse(self, code, *nodes, message="", **options):
        self.save(*nodes, **options)
        self.write("x.csv", "1,2\n")
        np.save(self.folder / "x.npy", np.float32([1, 2]))
        return self.fail_with(code, "model.onnx", "-i", "x.npy", message=message)

    def test_external_data_that_is_no_file_is_not_waited_for(self):
        def external(location):
            def change(graph):
                c = graph.initializer[0]
                c.ClearField("raw_data")
                c.data_location = TensorProto.EXTERNAL
                c.external_data.add(key="location", value=location)
            return change

        os.mkfifo(self.folder / "pipe")
        (self.folder / "folder").mkdir()
        (self.folder / "link").symlink_to("pipe")
        self.write("short", bytes(7))
        self.write("data", np.float32([1, 2]).tobytes())
        for location, code, message in [("pipe", IO, "is a pipe, not a file"), ("link", IO, "is a pipe, not a file"),
                                        ("folder", IO, "is a folder, not a file"), ("missing", IO, "no such file"),
                                        ("short", INVALID_MODEL, "ends before byte 8"), ("", INVALID_MODEL, "outside"),
                                        ("../data", INVALID_MODEL, "outside"),
                                        ("/dev/zero", INVALID_MODEL, "outside")]:
            with self.subTest(location):
                self.refuse(code, change=external(location), message=message)
                self.fail_with(code, "inspect", "model.onnx", message="tensor 'c'")
        self.save(change=external("data"))
        self.succeed("model.onnx", "-i", "x.npy")

    def test_what_stands_in_place_of_a_model_or_tensor_is_not_waited_for(self):
        os.mkfifo(self.folder / "pipe")
        self.fail_with(INVALID_MODEL, "pipe", "-i", MODELS / "x.npy", message="pipe")  # nobody writes to it
        self.fail_with(IO, "/dev/zero", message="is a device, not a file")
        self.fail_with(IO, ".", message="is a folder, not a file")
        os.mkfifo(self.folder / "x.pb")
        self.fail_with(INVALID_INPUT, MLP, "-i", "x.pb", message="x.pb")

    def test_pipes_that_somebody_writes_to_are_read(self):
        for arguments, content in [(["/dev/stdin", "-i", MODELS / "x.npy"], MLP.read_bytes()),
                                   ([MLP, "-i", "/dev/stdin"], (MODELS / "x.npy").read_bytes()),
                                   ([MLP, "-i", "/dev/stdin"], self.save_csv().read_bytes())]:
            self.check(self.scores(*arguments, stdin=content))
        os.mkfifo(self.folder / "pipe")
        with subprocess.Popen(["cp", MODELS / "x.npy", "pipe"], cwd=self.folder):
            self.check(self.scores(MLP, "-i", "pipe"))

    def test_what_is_said_twice_or_not_at_all_is_refused(self):
        def change_tensor(**fields):
            def change(graph):
                for name, value in fields.items():
                    field = getattr(graph.initializer[0], name)
                    field.extend(value) if isinstance(value, list) else setattr(graph.initializer[0], name, value)
            return change

        for change, message in [
                (change_tensor(float_data=[1.0, 2.0]), "holds its data twice"),
                (change_tensor(int64_data=[1]), "holds its data twice"),
                (change_tensor(string_data=[b"a"]), "holds its data twice"),
                (change_tensor(data_location=TensorProto.EXTERNAL), "names external data"),
                (change_tensor(data_type=0), "has no element type"),
                (change_tensor(data_type=-1), "has no element type"),
                (lambda graph: graph.Clear(), "has no output"),
                (lambda graph: graph.ClearField("output"), "has no output")]:
            with self.subTest(message):
                self.refuse(INVALID_MODEL, change=change, message=message)
        node = helper.make_node("Softmax", ["x"], ["y"], axis=0)
        node.attribute.append(helper.make_attribute("axis", 0))
        self.refuse(INVALID_MODEL, node, message="attribute 'axis': it is given twice")
        self.refuse(INVALID_MODEL, helper.make_node("Cast", ["x"], ["y"], to=0), message="names element type 0")
        self.refuse(UNSUPPORTED, change=change_tensor(data_type=99), message="element type 99")

    def test_attributes_are_told_apart_by_whether_onnx_has_them(self):
        for op_type, attribute, opset, code in [
                ("Relu", "alpha", 13, INVALID_MODEL), ("Relu", "", 13, INVALID_MODEL),
                ("Softmax", "Axis", 13, INVALID_MODEL), ("Relu", "consumed_inputs", 13, UNSUPPORTED),
                ("Dropout", "is_test", 13, UNSUPPORTED), ("Relu", "alpha", 99, UNSUPPORTED)]:
            with self.subTest(f"{op_type} {attribute} {opset}"):
                node = helper.make_node(op_type, ["x"], ["y"], "n")
                node.attribute.append(helper.make_attribute(attribute, 1))
                self.refuse(code, node, opset=opset, message=f"'{attribute}'")
        node = helper.make_node("Relu", ["x"], ["y"], consumed_inputs=[0])
        self.save(node, opset=5)
        self.succeed("model.onnx", "-i", "x.npy")

    def test_small_files_do_not_get_much_memory(self):
        much = 1 << 40
        most = (1 << 63) - 1
        tensor = helper.make_node
        for name, nodes, constants in [
                ("ConstantOfShape", [tensor("ConstantOfShape", ["s"], ["y"])], [constant("s", [much])]),
                ("ConstantOfShape, wrapping bytes", [tensor("ConstantOfShape", ["s"], ["y"])],
                 [constant("s", [1 << 62])]),
                ("ConstantOfShape, wrapping elements", [tensor("ConstantOfShape", ["s"], ["y"])],
                 [constant("s", [1 << 32, 1 << 32, 2])]),
                ("Expand", [tensor("Expand", ["x", "s"], ["y"])], [constant("s", [much, 2])]),
                ("Expand, wrapping bytes", [tensor("Expand", ["x", "s"], ["y"])], [constant("s", [1 << 61, 2])]),
                ("Tile", [tensor("Tile", ["x", "s"], ["y"])], [constant("s", [much])]),
                ("Tile, wrapping", [tensor("Tile", ["x", "s"], ["y"])], [constant("s", [most])]),
                ("Range", [tensor("Range", ["a", "b", "c"], ["y"])],
                 [constant("a", 0), constant("b", most), constant("c", 1)]),
                ("Range of floats", [tensor("Range", ["a", "b", "c"], ["y"])],
                 [constant("a", 0, np.float32), constant("b", 1e30, np.float32), constant("c", 1e-30, np.float32)]),
                ("Range, wrapping", [tensor("Range", ["a", "b", "c"], ["y"])],
                 [constant("a", -most), constant("b", most), constant("c", 1)]),
                ("Resize", [tensor("Resize", ["x", "", "s"], ["y"])], [constant("s", [1e12], np.float32)]),
                ("Resize, beyond integers", [tensor("Resize", ["x", "", "s"], ["y"])],
                 [constant("s", [1e30], np.float32)]),
                ("Resize to sizes", [tensor("Resize", ["x", "", "", "s"], ["y"])], [constant("s", [much])]),
                ("Pad", [tensor("Pad", ["x", "s"], ["y"])], [constant("s", [much, 0])]),
                ("Pad, wrapping", [tensor("Pad", ["x", "s"], ["y"])], [constant("s", [most, most])]),
                ("OneHot", [tensor("OneHot", ["i", "d", "v"], ["y"])],
                 [constant("i", [1]), constant("d", [much]), constant("v", [0, 1], np.float32)]),
                ("an initializer", [tensor("Add", ["x", "c"], ["y"])], None)]:
            with self.subTest(name):
                def grow(graph):
                    if constants is None:
                        graph.initializer[0].dims[:] = [much]
                for extra in ([], [tensor("Relu", ["missing"], ["z"])] if constants is None else []):
                    self.refuse(RESOURCE_LIMIT, *nodes, *extra, constants=constants or (), change=grow)


class BadInput(BnrunTest):
    def test_models(self):
        for model, code, message in [
                ("missing.onnx", IO, "no such file"),
                ("truncated.onnx", INVALID_MODEL, "truncated.onnx"),
                ("foreign.onnx", INVALID_MODEL, "foreign.onnx"),
                ("clash.onnx", INVALID_MODEL, "node 'fc' (Gemm)"),
                ("unknown.onnx", UNSUPPORTED, "Frobnicate"),
                ("namesake.onnx", UNSUPPORTED, "domain 'com.custom'")]:
            with self.subTest(model):
                self.fail_with(code, MODELS / model, "-i", MODELS / "x.npy", "-o", "y.npy", message=message)
        self.fail_with(INVALID_MODEL, "inspect", MODELS / "clash.onnx", message="clash.onnx")

    def test_inputs(self):
        good = ",".join("1" * 8) + "\n"
        np.save(self.folder / "narrow.npy", self.x[:, :7])
        np.save(self.folder / "flat.npy", self.x.ravel())
        np.save(self.folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
        np.savez(self.folder / "other.npz", z=self.x)
        np.savez(self.folder / "others.npz", y=self.x, z=self.x)
        npy = (MODELS / "x.npy").read_bytes()
        for name, content, message in [
                ("ragged.csv", good + "1,2\n", "line 2 has 2 columns, expected 8"),
                ("text.csv", good + good.replace("1\n", "one\n"), "line 2, column 8 (column_8): 'one' is not a"),
                ("narrow.csv", "1,2,3\n", "1 rows of 3 columns do not fit input 'x' (float32[N,8])"),
                ("empty.csv", "", "empty.csv: is empty"),
                ("header.csv", "a,b\n", "no rows"),
                ("cut.npy", npy[:-1], "truncated"),
                ("none.npy", "1,2\n", "no .npy file"),
                ("cut.npz", (self.folder / "other.npz").read_bytes()[:-30], "damaged"),
                ("cut.csv.gz", gzip.compress(good.encode())[:-9], "gzip"),
                ("foreign.pb", "no tensor", "foreign.pb"),
                ("model.data", MLP.read_bytes(), "zero bytes"),
                ("rows.json", "[[1, 2], [3, 4]]", "this is no table in text but JSON"),
                ("rows.parquet", b"PAR1" + bytes(100), "Parquet"),
                ("rows.pkl", pickle.dumps([1.0] * 8), "pickle"),
                ("huge.csv", good.replace("1", "1e400", 1), "too large for a number"),
                ("narrow.npy", None, "float32[5,7] does not fit input 'x' (float32[N,8])"),
                ("flat.npy", None, "float32[40] does not fit input 'x' (float32[N,8]); in NumPy .reshape(-1, 8) makes 5 rows"),
                ("objects.npy", None, "cannot be read"),
                ("others.npz", None, "no input 'y' among: x")]:
            with self.subTest(name):
                if content is not None:
                    self.write(name, content)
                self.fail_with(INVALID_INPUT, MLP, "-i", name, "-o", "y.csv", message=message)

    def test_names(self):
        x = MODELS / "x.npy"
        self.fail_with(INVALID_INPUT, MLP, "-i", f"z={x}", message="no input 'z' among: x")
        self.fail_with(INVALID_INPUT, MODELS / "two.onnx", "-i", f"a={x}", message="does not fit input 'a'")
        self.write("a.csv", "1,2\n")
        self.fail_with(INVALID_INPUT, MODELS / "two.onnx", "-i", "a=a.csv", message="input 'b' (float32[N,2]) has no data")
        self.fail_with(INVALID_INPUT, MLP, "-i", x, "-i", x, message="no input left")
        self.fail_with(INVALID_INPUT, MLP, "-i", f"x={x}", "-i", f"x={x}", message="twice")
        self.fail_with(IO, MLP, "-i", "missing.csv", message="missing.csv")
        self.fail_with(IO, MLP, "-i", ".", message="directory")
        self.fail_with(IO, MLP, "-i", "x" * 300, message="File name too long")

    def test_outputs(self):
        x = MODELS / "x.npy"
        self.write("file", "")
        for target in ["missing/y.csv", "file/y.csv", "/dev/full"]:
            with self.subTest(target):
                self.fail_with(IO, MLP, "-i", x, "-o", target, "-f", "csv", message=target)
        self.fail_with(USAGE, MLP, "-i", x, "-o", "y.txt", message="y.txt: its ending names no format")
        a = self.write("a.csv", "1,2\n")
        self.fail_with(INVALID_INPUT, MODELS / "two.onnx", "-i", a, "-i", a, "-o", "y.npy", message="npz")
        with open("/dev/full", "wb") as full:
            self.fail_with(IO, MLP, "-i", x, stdout=full, message="standard output")

    def test_usage(self):
        for arguments in [["inspect"], ["test"], ["run"], [MLP, "--nonsense"], [MLP, "-f", "xml"],
                          [MLP, "--fold", "maybe"], [MLP, MLP], [MLP, "bad\x1b[31m\nname"]]:
            with self.subTest(arguments):
                self.fail_with(USAGE, *arguments)

    def test_numbers_are_refused_in_a_few_words(self):
        for number in ["-1", "two", "", "1.5", "1e3", "0x10", "nan", "+1", " 1"]:
            with self.subTest(number):
                result = self.fail_with(USAGE, MLP, "-t", number, message="is not a whole number of 0 or more")
                self.assertLess(len(result.stderr), 90)
        self.fail_with(USAGE, MLP, "-t", "9" * 30, message="9' is too large")


class Frame(BnrunTest):
    def test_every_help_has_an_example(self):
        self.assertIn(b"inspect", self.succeed("--help"))
        for command in ["run", "inspect", "test"]:
            self.assertIn(b"Example:\n  bnrun", self.succeed(command, "--help"))

    def test_version(self):
        self.assertRegex(self.succeed("--version").decode(), r"^bnrun \d+\.\d+\.\d+\n\S+ \S+; kernels for .*\n$")

    def test_interrupts(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                with subprocess.Popen([PROGRAMS / "bnrun", "-v", MLP, "-i", "-", "-o", "y.csv"],
                                      cwd=self.folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                    process.stderr.readline()  # the model is loaded; now it waits for its input
                    process.send_signal(number)
                    self.assertEqual(process.wait(timeout=60), 128 + number)
                self.assertEqual(list(self.folder.iterdir()), [])


class Sizes(ProgramTest):
    def test_what_no_machine_holds_is_judged_before_what_else_is_wrong(self):
        for shape in ([1 << 40, 4], [1 << 62, 1 << 40], [1 << 20, 1 << 20, 4]):
            nodes = [helper.make_node("ConstantOfShape", ["s"], ["h"]), helper.make_node("Add", ["h", "x"], ["y"])]
            graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
                                      [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                                      [numpy_helper.from_array(np.array(shape), "s")])
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
            self.write("huge.onnx", model.SerializeToString())
            self.write("x.csv", "a,b,c\n1,2,3\n")
            for self.program, arguments in (("bnrun", ["huge.onnx", "-i", "x.csv"]), ("bnfold", ["huge.onnx", "--dry-run"])):
                with self.subTest(shape=shape, program=self.program):
                    self.fail_with(RESOURCE_LIMIT, *arguments)


class Terminal(ProgramTest):
    program = "bnrun"

    def test_names_of_outputs_are_shown_not_obeyed(self):
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["\x1b[2Jy"])], "g",
                                  [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1])],
                                  [helper.make_tensor_value_info("\x1b[2Jy", TensorProto.FLOAT, ["N", 1])])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        self.write("model.onnx", model.SerializeToString())
        self.write("x.csv", "x\n1\n2\n")
        ours, theirs = os.openpty()
        self.assertEqual(self.run_program("model.onnx", "-i", "x.csv", stdout=theirs).returncode, 0)
        shown = os.read(ours, 4096)
        os.close(ours)
        os.close(theirs)
        self.assertNotIn(b"\x1b", shown)
        self.assertIn(b"\\x1b[2Jy", shown)
        self.assertIn(b"\x1b[2Jy", self.succeed("model.onnx", "-i", "x.csv"), "a pipe gets the name as it is")


if __name__ == "__main__":
    unittest.main()
