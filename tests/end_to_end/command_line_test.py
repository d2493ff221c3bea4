"""The command line as people try it: without arguments, misspelt, without input, through pipes, links and devices, with data
that almost fits."""

import gzip
import json
import os
import subprocess
import unittest

import numpy as np

from programs import INVALID_INPUT, INVALID_MODEL, IO, MODELS, PROGRAMS, UNSUPPORTED, USAGE, ProgramTest

MLP = MODELS / "mlp.onnx"
X = MODELS / "x.npy"


class Pages(ProgramTest):
    COMMANDS = {"bnrun": ["run", "predict", "inspect", "bench", "profile", "test", "operators"], "bnfold": ["fold", "verify"],
                "bntrain": ["fit", "eval", "compare"]}

    def test_without_arguments_and_for_help_a_page_is_printed(self):
        for self.program, commands in self.COMMANDS.items():
            page = self.succeed().decode()
            for command in commands:
                self.assertIn(f"\n  {command} ", page)
            self.assertEqual(self.succeed("help").decode(), page)
            self.assertEqual(self.succeed("--help").decode(), page)
            for command in commands:
                page = self.succeed("help", command).decode()
                # What excludes what stands in an order of CLI11's own.
                self.assertEqual(sorted(self.succeed(command, "--help").decode().split()), sorted(page.split()))
                self.assertIn(f"Example:\n  {self.program}", page)

    def test_a_misspelt_command_or_option_is_named_with_the_nearest(self):
        for self.program, arguments, message in [
                ("bnrun", ["inspct", MLP], "there is no command 'inspct' (nearest: 'inspect')"),
                ("bnrun", ["tset"], "there is no command 'tset' (nearest: 'test')"),
                ("bnrun", ["help", "porfile"], "there is no command 'porfile' (nearest: 'profile')"),
                ("bnrun", ["help", "nope"], "there is no command 'nope'"),
                ("bnfold", ["verfiy", MLP, MLP], "there is no command 'verfiy' (nearest: 'verify')"),
                ("bntrain", ["train", "table.csv"], "there is no command 'train' (see --help)"),
                ("bntrain", ["fitt", "table.csv"], "there is no command 'fitt' (nearest: 'fit')"),
                ("bnrun", ["inspect", "--jsn", MLP], "there is no option '--jsn' (nearest: '--json')"),
                ("bnrun", [MLP, "-i", X, "--ouput", "y.csv"], "there is no option '--ouput' (nearest: '--output')"),
                ("bnfold", [MLP, "--dryrun"], "there is no option '--dryrun' (nearest: '--dry-run')"),
                ("bnfold", ["verify", MLP, MLP, "--row=3"], "there is no option '--row' (nearest: '--rows')"),
                ("bnrun", [MLP, "--qqqqqq"], "there is no option '--qqqqqq' (see --help)"),
                ("bnrun", [MLP, MLP], "mlp.onnx' is one argument too many"),
                ("bnrun", [MLP, "-z"], "there is no option '-z'")]:
            with self.subTest(f"{self.program} {arguments}"):
                self.fail_with(USAGE, *arguments, message=message)

    def test_a_file_that_is_called_like_a_command_is_a_model(self):
        self.program = "bnrun"
        self.write("inspekt", MLP.read_bytes())
        self.succeed("inspekt", "-i", X)
        self.fail_with(IO, "tests.onnx", message="tests.onnx")


class WithoutInput(ProgramTest):
    program = "bnrun"

    def lines(self, *arguments):
        result = self.run_program(*arguments)
        self.assertEqual((result.returncode, result.stdout), (INVALID_INPUT, b""))
        return result.stderr.decode().splitlines()

    def test_it_says_what_the_model_wants_and_shows_lines_that_work(self):
        self.write("rows.csv", "a,b,c,d,e,f,g,h\n" + ",".join("1" * 8) + "\n")
        np.save(self.folder / "array.npy", np.ones((2, 1, 8, 8), np.float32))
        for model, wants in [
                ("mlp_features.onnx", "  input 'x' (float32[N,8]): rows of 8 numbers, the columns a, b, c, d, e, f, g, h"),
                ("mlp.onnx", "  input 'x' (float32[N,8]): rows of 8 numbers"),
                ("open.onnx", "  input 'x' (float32[N,1,height,width])")]:
            with self.subTest(model):
                lines = self.lines(MODELS / model)
                self.assertEqual(lines[0], f"bnrun: {MODELS / model}: there is no data for the model")
                self.assertIn(wants, lines)
                shown = lines[lines.index("for example") + 1:]
                self.assertEqual(len(shown), 2)
                for line in shown:
                    subprocess.run(line, shell=True, cwd=self.folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"})
        self.assertIn(" -i a=rows.csv -i b=rows.csv", self.lines(MODELS / "two.onnx")[-2])
        self.assertIn("bnrun predict ", self.lines("predict", MLP)[-1])
        self.assertEqual(len(self.lines(MLP, "-q")), 1)

    def test_made_up_numbers_are_a_smoke_test(self):
        self.assertEqual(len(self.succeed(MLP, "--random").splitlines()), 1 + 4)
        self.assertEqual(len(self.succeed(MLP, "--random=7").splitlines()), 1 + 7)
        self.assertEqual(self.succeed("--random=7", MLP), self.succeed(MLP, "--random=7"))
        self.assertEqual(len(self.succeed(MODELS / "fixed.onnx", "--random").splitlines()), 1 + 2)
        self.fail_with(USAGE, MLP, "--random=0", message="'0' is not a whole number above 0")
        self.fail_with(USAGE, MLP, "--random", "-i", X, message="--input")

    def test_open_sizes_are_asked_for_and_told(self):
        model = MODELS / "open.onnx"
        self.fail_with(USAGE, model, "--random", message="say --size height=N")
        self.fail_with(USAGE, model, "--random", "--size", "height=4", message="say --size width=N")
        y = json.loads(self.succeed(model, "--random=3", "--size", "height=4", "--size", "width=5", "-f", "json"))["y"]
        self.assertEqual(np.array(y).shape, (3, 1, 4, 5))
        y = json.loads(self.succeed(model, "--random=3", "--size", "x:2=4", "--size", "x:3=5", "-f", "json"))["y"]
        self.assertEqual(np.array(y).shape, (3, 1, 4, 5))
        self.fail_with(USAGE, MODELS / "unnamed.onnx", "--random", message="say --size x:1=N")
        self.fail_with(USAGE, model, "--random", "--size", "hight=4", message="'hight' (nearest: 'height')")
        self.fail_with(USAGE, MODELS / "fixed.onnx", "--random", "--size", "N=4", message="leaves no size open")
        self.fail_with(USAGE, model, "--random", "--size", "height=4", "--size", "height=5", message="--size: height is 4 and 5: give it once")
        for wrong in ("height", "height=", "=4", "height=-1", "height=x"):
            self.fail_with(USAGE, model, "--random", "--size", wrong, message="wants NAME=N")
        self.fail_with(USAGE, model, "-i", X, "--size", "height=4", message="--size is for --random")


class Pipes(ProgramTest):
    program = "bnrun"

    def test_what_is_piped_in_is_read_where_no_input_is_named(self):
        expected = self.succeed(MLP, "-i", X)
        self.assertEqual(self.succeed(MLP, stdin=X.read_bytes()), expected)
        with open(X, "rb") as file:
            redirected = subprocess.run([PROGRAMS / "bnrun", MLP], stdin=file, stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(redirected, expected)
        result = self.run_program(MLP, "-v", stdin=X.read_bytes())
        self.assertIn(b"reading standard input", result.stderr)
        self.fail_with(INVALID_INPUT, MLP, stdin=b"", message="standard input: is empty")
        self.assertEqual(self.succeed(MLP, "-i", X, stdin=b"not read"), expected)

    def test_a_model_comes_through_a_pipe_into_every_program(self):
        bytes_ = MLP.read_bytes()
        expected = self.succeed(MLP, "-i", X)
        self.assertEqual(self.succeed("-", "-i", X, stdin=bytes_), expected)
        self.assertEqual(self.succeed("-", "-i", X, stdin=gzip.compress(bytes_)), expected)
        self.assertEqual(self.succeed("inspect", "-", stdin=bytes_), self.succeed("inspect", MLP))
        cell, = json.loads(self.succeed("bench", "-", "-b", "3", "--seconds", "0.01", "--no-limits", "-o", "json", stdin=bytes_))["cells"]
        self.assertGreater(cell["peak_bytes"], 1 << 20)
        self.assertIn(b"3 rows", self.succeed("profile", "-", "-b", "3", "--no-limits", stdin=bytes_))
        self.fail_with(INVALID_MODEL, "-", "-i", X, stdin=b"no model", message="standard input")
        self.fail_with(USAGE, "-", "-i", "-", stdin=bytes_, message="only one file may be -")
        self.program = "bnfold"
        self.succeed("-", "-o", "folded.onnx", stdin=bytes_)
        self.succeed("verify", "-", "folded.onnx", stdin=bytes_)
        self.succeed("verify", MLP, "-", stdin=(self.folder / "folded.onnx").read_bytes())
        self.fail_with(USAGE, "verify", "-", "-", stdin=bytes_, message="only one file may be -")
        self.write("rows.csv", "a,b,kind\n0,1,high\n")
        self.program = "bntrain"
        classes = (MODELS / "classes.onnx").read_bytes()
        self.assertIn(b"accuracy", self.succeed("eval", "-", "rows.csv", "--target", "kind", stdin=classes))
        self.fail_with(USAGE, "eval", "-", "-", "--target", "kind", stdin=classes, message="only one file may be -")

    def test_devices_and_links_are_written_as_elsewhere(self):
        expected = self.succeed(MLP, "-i", X)
        self.assertEqual(self.succeed(MLP, "-i", X, "-o", "/dev/null"), b"")
        self.assertFalse(os.path.isfile("/dev/null"))
        self.assertEqual(self.succeed(MLP, "-i", X, "-o", "/dev/stdout"), expected)
        kept = self.write("kept.txt", "kept\n")
        with open(kept, "ab") as file:
            self.assertEqual(self.run_program(MLP, "-i", X, "-o", "/dev/stdout", stdout=file).returncode, 0)
        self.assertEqual(kept.read_bytes(), b"kept\n" + expected)
        (self.folder / "folder").mkdir()
        (self.folder / "link.csv").symlink_to("folder/new.csv")
        (self.folder / "again.csv").symlink_to("link.csv")
        self.succeed(MLP, "-i", X, "-o", "again.csv")
        self.assertTrue((self.folder / "again.csv").is_symlink() and (self.folder / "link.csv").is_symlink())
        self.assertEqual((self.folder / "folder/new.csv").read_bytes(), expected)
        (self.folder / "nowhere.csv").symlink_to("no/such.csv")
        (self.folder / "circle.csv").symlink_to("circle.csv")
        for target in ("nowhere.csv", "circle.csv"):
            self.fail_with(IO, MLP, "-i", X, "-o", target, message=target)
        (self.folder / "model.onnx").symlink_to("folder/model.onnx")
        self.program = "bnfold"
        self.succeed(MLP, "-o", "model.onnx")
        self.assertTrue((self.folder / "model.onnx").is_symlink())
        self.assertGreater((self.folder / "folder/model.onnx").stat().st_size, 100)
        self.assertEqual(sorted(os.listdir(self.folder / "folder")), ["model.onnx", "new.csv"])
        self.assertEqual(self.run_program(MLP, "-o", "/dev/null").returncode, 0)


class AlmostFits(ProgramTest):
    program = "bnrun"

    def setUp(self):
        super().setUp()
        self.x = np.round(np.load(X) * 4)  # whole numbers, which every type holds
        np.save(self.folder / "x.npy", self.x.astype(np.float32))
        self.expected = self.succeed(MLP, "-i", "x.npy")

    def check(self, array, says, model=MLP, expected=None):
        np.save(self.folder / "given.npy", array)
        result = self.run_program(model, "-i", "given.npy", "-v")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, self.expected if expected is None else expected)
        self.assertIn(f"given.npy: {says}", result.stderr.decode())

    def test_exact_conversions_are_done_and_said(self):
        for dtype in ("float64", "float16", "int8", "int16", "int32", "int64"):
            with self.subTest(dtype):
                self.check(self.x.astype(dtype), f"{dtype}[5,8] is taken as float32[5,8], every number exactly")
        holes = np.where(np.arange(40).reshape(5, 8) > 38, np.nan, self.x).astype(np.float64)
        expected = self.succeed(MLP, "-i", self.saved("holes", holes.astype(np.float32)))
        self.check(holes, "float64[5,8]", expected=expected)

    def saved(self, name, array):
        np.save(self.folder / f"{name}.npy", array)
        return f"{name}.npy"

    def test_inexact_ones_are_refused_with_the_option_that_makes_them_fit(self):
        for value, dtype in ((0.1, np.float64), ((1 << 24) + 1, np.int64), (1e30, np.float64)):
            array = self.x.astype(dtype)
            array[1, 2] = value
            name = self.saved("inexact", array)
            self.fail_with(INVALID_INPUT, MLP, "-i", name,
                           message=f"{dtype.__name__}[5,8] does not fit input 'x' (float32[N,8]): {float(value):.15g} (element 10) "
                                   "is not exact in float32; --round rounds")
            rounded = self.succeed(MLP, "-i", name, "--round")
            self.assertEqual(rounded, self.succeed(MLP, "-i", self.saved("single", array.astype(np.float32))))

    def test_text_and_complex_numbers_are_no_numbers(self):
        for array in (np.full((5, 8), "1"), np.ones((5, 8), np.complex64)):
            self.fail_with(INVALID_INPUT, MLP, "-i", self.saved("other", array), "--round", message="does not fit input 'x'")

    def test_a_row_without_batch_dimension(self):
        row = self.saved("row", self.x[:1].astype(np.float32))
        self.check(self.x[0].astype(np.float32), "float32[8] is taken as float32[1,8]", expected=self.succeed(MLP, "-i", row))

    def test_images_become_rows(self):
        pixels = np.arange(3 * 28 * 28, dtype=np.float32).reshape(3, 28, 28)
        model = MODELS / "images.onnx"
        rows = self.succeed(model, "-i", self.saved("rows", pixels.reshape(3, 784)))
        self.check(pixels, "float32[3,28,28] is taken as float32[3,784]", model, rows)
        first = self.succeed(model, "-i", self.saved("rows", pixels[:1].reshape(1, 784)))
        self.check(pixels[0], "float32[28,28] is taken as float32[1,784]", model, first)

    def test_a_fixed_batch_is_named(self):
        self.fail_with(INVALID_INPUT, MODELS / "fixed.onnx", "-i", self.saved("four", np.ones((4, 3), np.float32)),
                       message="its batch is fixed at 2: give it 2 rows at a time")

    def test_the_one_array_of_an_archive_may_have_another_name(self):
        np.savez(self.folder / "other.npz", features=self.x.astype(np.float32))
        result = self.run_program(MLP, "-i", "other.npz", "-v")
        self.assertEqual(result.stdout, self.expected)
        self.assertIn(b"other.npz: its one array 'features' feeds input 'x'", result.stderr)

    def test_foreign_files_are_named_as_what_they_are(self):
        for name, content, what in [("table.xlsx", b"PK\3\4" + bytes(20) + b"xl/workbook.xml" + bytes(20), "an Excel workbook (.xlsx)"),
                                    ("table.json", b'[{"a": 1}]', "JSON"), ("table.parquet", b"PAR1" + bytes(9), "a Parquet file"),
                                    ("table.pkl", b"\x80\4K\1.", "a pickle")]:
            with self.subTest(name):
                self.write(name, content)
                self.fail_with(INVALID_INPUT, MLP, "-i", name, message=what)

    def test_an_unsupported_operator_leaves_something_to_do(self):
        for arguments in ([MODELS / "unknown.onnx", "-i", X], ["predict", MODELS / "unknown.onnx", "-i", X],
                          ["profile", MODELS / "unknown.onnx", "--no-limits"]):
            self.fail_with(UNSUPPORTED, *arguments, message="; `bnrun inspect` shows the model and `bnfold --no-verify` folds the rest")
        self.succeed("inspect", MODELS / "unknown.onnx")
        self.program = "bnfold"
        self.succeed(MODELS / "unknown.onnx", "--no-verify", "-o", "folded.onnx")


class Blocks(ProgramTest):
    """Rows that a model keeps apart are run and written a few thousand at a time."""

    program = "bnrun"

    def test_blocks_give_what_the_whole_batch_gives(self):
        rows = np.random.default_rng(1).normal(size=(10001, 8)).astype(np.float32)
        np.save(self.folder / "rows.npy", rows)
        lines = self.succeed(MLP, "-i", "rows.npy").decode().splitlines()
        self.succeed(MLP, "-i", "rows.npy", "-o", "whole.npy")
        written = np.loadtxt(lines[1:], delimiter=",", dtype=np.float32)
        np.testing.assert_array_equal(written, np.load(self.folder / "whole.npy"))
        self.succeed(MLP, "-i", "rows.npy", "-o", "y.csv")
        self.assertEqual((self.folder / "y.csv").read_text().splitlines(), lines)

    def test_a_model_that_mixes_rows_sees_all_of_them(self):
        np.save(self.folder / "rows.npy", np.ones((5000, 1), np.float32))
        lines = self.succeed(MODELS / "crossing.onnx", "-i", "rows.npy").decode().splitlines()
        self.assertEqual(set(lines[1:]), {"5001"})

    def test_no_rows_are_a_header(self):
        np.save(self.folder / "none.npy", np.ones((0, 8), np.float32))
        self.assertEqual(self.succeed(MLP, "-i", "none.npy"), b"y_0,y_1,y_2\n")


if __name__ == "__main__":
    unittest.main()
