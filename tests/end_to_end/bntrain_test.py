"""bntrain as a user calls it: what it takes of a table, what it says, where the model goes. What it learns is tested in
tests/tools and tests/train."""

import csv
import io
import json
import os
import pathlib
import sys
import time
import unittest

import numpy as np
import onnx
from onnx import numpy_helper

from programs import INVALID_INPUT, IO, USAGE, ProgramTest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import mixed_table  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
IRIS = ROOT / "models/data/iris.csv"
DIABETES = ROOT / "models/data/diabetes.csv"


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def evaluate(model, inputs):
    """The operators that bntrain writes, in numpy."""
    values = {**inputs, **{c.name: numpy_helper.to_array(c) for c in model.graph.initializer}}

    def one_hot(x, cats_strings, zeros=1):
        found = x[..., None] == np.array([c.decode() for c in cats_strings])
        assert zeros or found.any(-1).all()
        return found.astype(np.float32)

    def softmax(x, axis):
        e = np.exp(x - x.max(axis, keepdims=True))
        return e / e.sum(axis, keepdims=True)

    operators = {
        "IsNaN": np.isnan, "Where": np.where, "Sub": np.subtract, "Mul": np.multiply, "OneHotEncoder": one_hot,
        "Softmax": softmax,
        "Cast": lambda x, to: x.astype(np.float32),
        "Gather": lambda x, indices, axis: np.take(x, indices, axis),
        "Reshape": lambda x, shape: x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)]),
        "Concat": lambda *parts, axis: np.concatenate(parts, axis),
        "Gemm": lambda a, w, b: a @ w + b,
        "Relu": lambda x: np.maximum(x, 0),
        "BatchNormalization": lambda x, scale, b, mean, var, epsilon, momentum:
            (x - mean) / np.sqrt(var + epsilon) * scale + b}
    for node in model.graph.node:
        values[node.output[0]] = operators[node.op_type](*(values[i] for i in node.input), **attributes(node))
    return values[model.graph.output[0].name]


class BntrainTest(ProgramTest):
    program = "bntrain"

    def fit(self, table, target, *options):
        """Standard error and standard output of a run that must exit 0."""
        result = self.run_program("fit", table, "--target", target, "-o", "m.onnx", *options)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result.stderr.decode(), result.stdout.decode()

    def bnrun(self, *arguments, **options):
        other = ProgramTest()
        other.program, other.folder = "bnrun", self.folder
        return list(csv.reader(io.StringIO(other.succeed(*arguments, **options).decode())))


class Tables(BntrainTest):
    def test_first_line_tells_the_task_and_why(self):
        for table, target, options, line in [
                (IRIS, "species", [], "classification into 3 classes: 'species' holds words"),
                (DIABETES, "progression", [], "regression: 'progression' holds 214 different integers in 442 rows; "
                                              "--task classification takes them for classes"),
                (DIABETES, "sex", [], "classification into 2 classes: 'sex' holds 2 different integers in 442 rows; "
                                      "--task regression predicts them as numbers"),
                (DIABETES, "sex", ["--task", "regression"], "regression: --task says so"),
                (DIABETES, "bmi", [], "regression: 'bmi' holds numbers with fractions")]:
            with self.subTest(line):
                errors, _ = self.fit(table, target, "--epochs", "1", *options)
                self.assertEqual(errors.splitlines()[0], line)

    def test_rows_without_a_target_are_an_error_or_counted(self):
        lines = DIABETES.read_text().splitlines()
        for spelling in ["", "NA"]:
            for row in [1, 20, 442]:
                changed = lines[:row] + [lines[row].rsplit(",", 1)[0] + "," + spelling] + lines[row + 1:]
                self.write("t.csv", "\n".join(changed))
                arguments = ["fit", "t.csv", "--target", "progression", "-o", "m2.onnx", "--epochs", "1"]
                self.fail_with(INVALID_INPUT, *arguments,
                               message=f"line {row + 1}, column 'progression': there is no target: '{spelling}'")
                errors, _ = self.fit("t.csv", "progression", "--epochs", "1", "--missing-target", "drop")
                self.assertIn("left out 1 of 442 rows", errors)
                self.assertTrue(errors.startswith("regression"))
        self.fail_with(INVALID_INPUT, "eval", "m.onnx", "t.csv", "--target", "progression", message="--missing-target drop")
        self.assertIn(b"rows                441", self.succeed("eval", "m.onnx", "t.csv", "--target", "progression",
                                                              "--missing-target", "drop"))

    def test_what_is_undefined_is_null_and_a_dash(self):
        self.fit(IRIS, "species", "--epochs", "1")
        head, *rows = IRIS.read_text().splitlines()
        self.write("one.csv", "\n".join([head, *rows[:9]]))  # of the first class alone
        arguments = ["eval", "m.onnx", "one.csv", "--target", "species"]
        self.assertEqual(json.loads(self.succeed(*arguments, "--json"))["auc"], [None] * 3)
        self.assertRegex(self.succeed(*arguments).decode(), r"setosa .* - +9\n(.*\n)*mean .* - +9\n")
        self.write("two.csv", "\n".join([head, *rows[:9], rows[50]]))
        told = json.loads(self.succeed("eval", "m.onnx", "two.csv", "--target", "species", "--json"))["auc"]
        self.assertEqual([auc is None for auc in told], [False, False, True])
        lines = DIABETES.read_text().splitlines()
        self.fit(DIABETES, "progression", "--epochs", "1")
        self.write("flat.csv", "\n".join(line.rsplit(",", 1)[0] + ("," + line.rsplit(",", 1)[1] if i == 0 else ",0.1")
                                         for i, line in enumerate(lines)))
        arguments = ["eval", "m.onnx", "flat.csv", "--target", "progression"]
        self.assertIsNone(json.loads(self.succeed(*arguments, "--json"))["r2"])
        self.assertTrue(self.succeed(*arguments).decode().endswith("R2                  -\n"))

    def test_an_option_that_names_the_target_is_refused(self):
        for option in ("--drop", "--categories", "--embed", "--features"):
            for command in (["fit", IRIS, "-o", "m.onnx"], ["compare", IRIS]):
                self.fail_with(USAGE, *command, "--target", "species", "--epochs", "1", option, "species",
                               message=f"{option} species: the column is what --target has the network learn")
        self.fit(IRIS, "species", "--epochs", "1", "--features", "s*")  # a pattern may fit it
        self.fit(DIABETES, "progression", "--epochs", "1")
        self.fail_with(USAGE, "eval", "m.onnx", DIABETES, "--target", "progression", "--top", "3",
                       message="--top 3: it counts among classes, and the model predicts numbers: leave --top out")

    def test_too_few_rows_to_watch_are_an_error_that_names_the_table_and_the_option(self):
        lines = DIABETES.read_text().splitlines()
        for rows, share in ((1, "0.2"), (2, "0.2"), (2, "0.9")):
            self.write("few.csv", "\n".join(lines[:rows + 1]))
            watched = rows if share == "0.9" else 0
            told = f"few.csv: --validation {share} of {rows} row{'s' if rows > 1 else ''} leaves {rows - watched} to learn from and {watched} to watch"
            task = ["few.csv", "--target", "progression", "--task", "regression", "--epochs", "1", "--validation", share, "-q"]
            self.fail_with(INVALID_INPUT, "compare", *task, message=told + ": it takes more rows, or another --validation")
            self.fail_with(INVALID_INPUT, "fit", *task, "-o", "f.onnx", message=told + ": it takes more rows, or --validation 0")
        self.fit(DIABETES, "progression", "--epochs", "1")
        self.fail_with(INVALID_INPUT, "tune", "m.onnx", "few.csv", "--target", "progression", "--epochs", "1", "-q", "-o", "t.onnx", message="few.csv: --validation")
        self.succeed("compare", DIABETES, "--target", "progression", "--epochs", "1", "--seeds", "1", "--rates", "0.01", "--initial-scales", "1", "-q")

    def test_eval_takes_columns_by_name(self):
        self.fit(IRIS, "species", "--epochs", "20")
        expected = self.succeed("eval", "m.onnx", IRIS, "--target", "species")
        rows = [line.split(",") for line in IRIS.read_text().split()]
        for separator, decimal, end in [(", ", ".", "\n"), (";", ",", "\r\n"), ("\t", ".", "\r"), ("|", ",", "\n")]:
            text = end.join(separator.join(row[i] for i in [4, 2, 0, 3, 1]).replace(".", decimal) for row in rows)
            self.write("shuffled.csv", text)
            self.assertEqual(self.succeed("eval", "m.onnx", "shuffled.csv", "--target", "species"), expected)
        renamed = IRIS.read_text().replace("sepal_length", "sepal_len", 1).replace("petal_width", "Petal_Width", 1)
        self.write("renamed.csv", renamed)
        arguments = ["eval", "m.onnx", "renamed.csv", "--target", "species"]
        self.fail_with(INVALID_INPUT, *arguments,
                       message="it lacks 'sepal_length' (nearest: 'sepal_len'), 'petal_width' (nearest: 'Petal_Width')")
        self.assertEqual(self.succeed(*arguments, "--by-position"), expected)

    def test_mixed_columns_train_export_and_score_alike(self):
        table = mixed_table.draw()
        self.write("t.csv", mixed_table.csv_text(table))
        self.fail_with(INVALID_INPUT, "fit", "t.csv", "--target", "bought", "-o", "n.onnx", message="--missing mean")
        inputs = {name: np.array(rows, dtype=np.float32 if name == "input" else str)
                  for name, rows in mixed_table.prepared(table).items()}
        for rule in ["mean", "median", "zero", "indicator"]:
            with self.subTest(rule):
                _, output = self.fit("t.csv", "bought", "--missing", rule, "--validation", "0", "--epochs", "10")
                model = onnx.load(str(self.folder / "m.onnx"))
                onnx.checker.check_model(model)
                self.assertEqual([i.name for i in model.graph.input], ["input", *mixed_table.TEXTS])
                expected = evaluate(model, inputs)
                shuffled = mixed_table.csv_text(table, sorted(mixed_table.COLUMNS), ";", ",")
                scores = self.bnrun("m.onnx", "-i", "-", stdin=shuffled.encode())
                np.testing.assert_allclose(np.array(scores[1:], dtype=np.float32), expected, atol=1e-5)
                said = float(output.split("training   accuracy ")[1].split()[0])
                labels = np.array([row[-1] == "yes" for row in table])
                self.assertAlmostEqual(said, np.mean(expected.argmax(1) == labels), places=4)
                self.assertGreater(said, 0.85)

    def test_values_that_were_not_learnt_are_no_category_or_an_error(self):
        self.write("t.csv", mixed_table.csv_text(mixed_table.draw(missing=0)))
        self.write("new.csv", "age,colour,income,member,shirt size\n30,violet,40.5,true,S\n")
        self.fit("t.csv", "bought", "--epochs", "1")
        self.assertEqual(len(self.bnrun("m.onnx", "-i", "new.csv")), 2)
        self.fit("t.csv", "bought", "--epochs", "1", "--unknown", "error")
        other = ProgramTest()
        other.program, other.folder = "bnrun", self.folder
        other.fail_with(INVALID_INPUT, "m.onnx", "-i", "new.csv", message="none of the categories")
        for embedded in [[], ["--embed", "colour"]]:
            self.fit("t.csv", "bought", "--epochs", "1", "--unknown", "error", *embedded)
            self.assertEqual(len(self.bnrun("m.onnx", "--random=20")), 21)

    def test_a_held_out_value_that_was_not_learnt_is_told_by_its_line(self):
        lines = ["colour,x,y", *(f"{'red' if r % 2 else 'blue'},{r % 7},{r % 3}" for r in range(60))]
        lines[37] = "green,1,2"
        self.write("t.csv", "\n".join(lines) + "\n")
        told = "t.csv: line 38, column 'colour': 'green' is none of the 2 values in the rows learnt from (--unknown zero takes"
        self.fail_with(INVALID_INPUT, "fit", "t.csv", "--target", "y", "-o", "m.onnx", "-q", "--epochs", "1", "--unknown", "error", "--folds", "5",
                       message=told)

    def test_embedded_columns_train_export_and_score_alike(self):
        table = mixed_table.draw()
        self.write("t.csv", mixed_table.csv_text(table))
        column = mixed_table.TEXTS[0]
        for rule, options in [("mean", ["--embed", column]), ("indicator", ["--embed", f"{column}=3"]),
                              ("indicator", ["--embed", column, "--unknown", "error"])]:
            with self.subTest(options):
                _, output = self.fit("t.csv", "bought", "--missing", rule, "--validation", "0", "--epochs", "20", *options)
                model = onnx.load(str(self.folder / "m.onnx"))
                onnx.checker.check_model(model)
                self.assertIn("LabelEncoder", {n.op_type for n in model.graph.node})
                said = output.split("training   accuracy ")[1].split()[0]
                self.assertGreater(float(said), 0.8)
                self.assertIn(f"accuracy {said}: ", self.succeed("eval", "m.onnx", "t.csv", "--target", "bought").decode())
        arguments = ["fit", "t.csv", "--target", "bought", "-o", "n.onnx", "-q", "--missing", "mean"]
        for given, message in [("colours", "there is no column 'colours'"), ("bought", "--embed bought: the column is what --target")]:
            self.assertIn(message, self.run_program(*arguments, "--embed", given).stderr.decode())
        self.fail_with(USAGE, *arguments, "--embed", f"{column}=0", message="expected COLUMN or COLUMN=NUMBERS")
        self.succeed(*arguments, "--embed", "age=2", "--epochs", "1")

    def test_spellings_of_missing_values_are_kept_in_the_model(self):
        self.write("t.csv", "country,x,t\n" + "".join(f"{'NA' if i % 2 else 'FR'},{i % 3 or -999},{i % 2}\n" for i in range(40)))
        self.fail_with(INVALID_INPUT, "fit", "t.csv", "--target", "t", "-o", "m.onnx", message="'NA' is a missing value")
        self.fit("t.csv", "t", "--epochs", "30", "--na", "-999", "--missing", "mean", "--learning-rate", "0.01")
        self.assertIn(b"accuracy 1.0000", self.succeed("eval", "m.onnx", "t.csv", "--target", "t"))
        one = self.bnrun("m.onnx", "-i", "-", stdin=b"country,x\nNA,-999\nNA,\n")
        self.assertEqual(one[1], one[2])

    def test_a_column_that_numbers_the_rows_is_pointed_out(self):
        self.write("t.csv", ",x,t\n" + "".join(f"{i},{i % 3}.5,{i % 2}\n" for i in range(40)))
        self.assertIn("--drop column_1 leaves it out", self.fit("t.csv", "t", "--epochs", "1")[0])
        self.assertNotIn("warning", self.fit("t.csv", "t", "--epochs", "1", "--drop", "column_1")[0])

    def test_classes_are_held_out_by_their_share(self):
        self.write("t.csv", "x,t\n" + "".join(f"{i},{'rare' if i % 20 == 0 else 'common'}\n" for i in range(200)))
        self.fit("t.csv", "t", "--epochs", "1", "--holdout", "0.2", "--holdout-out", "h.csv")
        held_out = (self.folder / "h.csv").read_text().splitlines()
        self.assertEqual(held_out[0], "x,t")
        self.assertEqual(len(held_out), 41)
        self.assertEqual(sum(line.endswith("rare") for line in held_out), 2)

    def test_holdout_is_a_fraction_or_a_number_of_rows(self):
        for text, rows in [("1", 1), ("30", 30), ("0.5", 75), ("5e-1", 75), (".02", 3)]:
            self.fit(IRIS, "species", "--epochs", "1", "--holdout", text, "--holdout-out", "h.csv")
            self.assertEqual(len((self.folder / "h.csv").read_text().splitlines()), rows + 1, text)
        for text, message in [("1.0", "one row is --holdout 1"), ("1e0", "leaves nothing to train on"),
                              ("150", "leaves nothing to train on"), ("1000", "leaves nothing to train on"),
                              ("0.001", "leaves nothing to measure"), ("2.5", "neither a fraction nor"),
                              ("-1", "expected a fraction"), ("x", "expected a fraction"), ("nan", "expected a fraction")]:
            self.fail_with(USAGE, "fit", IRIS, "--target", "species", "-o", "n.onnx", "--holdout", text, message=message)

    def test_held_out_rows_are_written_as_they_were(self):
        text = mixed_table.csv_text(mixed_table.draw(), separator=";", decimal=",")
        self.write("t.csv", text)
        self.fit("t.csv", "bought", "--epochs", "1", "--missing", "mean", "--holdout", "50", "--holdout-out", "h.csv")
        rows = {tuple(c.strip().replace(",", ".") for c in line.split(";")) for line in text.splitlines()}
        written = list(csv.reader(io.StringIO((self.folder / "h.csv").read_text())))
        self.assertEqual(written[0], mixed_table.COLUMNS)
        self.assertEqual(len(written), 51)
        self.assertTrue(all(tuple(row) in rows for row in written))

    def test_writing_held_out_rows_costs_little(self):
        generator = np.random.default_rng(1)
        rows = generator.integers(0, 256, (1500, 784))
        header = ",".join(f"p{i}" for i in range(784)) + ",digit"
        lines = [",".join(map(str, row)) + f",{i % 10}" for i, row in enumerate(rows)]
        self.write("t.csv", "\n".join([header, *lines]) + "\n")
        options = ["--epochs", "1", "--hidden", "4", "--holdout", "1200", "-q"]

        def seconds(*more):
            start = time.monotonic()
            self.fit("t.csv", "digit", *options, *more)
            return time.monotonic() - start

        without = min(seconds() for _ in range(2))
        self.assertLess(min(seconds("--holdout-out", "h.csv") for _ in range(2)), 3 * without + 0.3)

    def test_accuracy_is_that_of_the_written_model(self):
        """Running statistics that trail behind are found out and told."""
        options = ["--epochs", "20", "--validation", "0", "--recipe", "keras", "--bn-momentum", "0.999", "--learning-rate", "0.01"]
        errors, output = self.fit(IRIS, "species", *options)
        said = output.split("training   accuracy ")[1].split()[0]
        self.assertTrue(self.succeed("eval", "m.onnx", IRIS, "--target", "species").decode().startswith(f"accuracy {said}"))
        self.assertIn("running statistics of BatchNormalization still trail behind", errors)
        self.assertIn("--bn-momentum", errors)
        errors, output = self.fit(IRIS, "species", "--epochs", "40", "--validation", "0", "--learning-rate", "0.01")
        self.assertNotIn("warning", errors)
        said = output.split("training   accuracy ")[1].split()[0]
        self.assertTrue(self.succeed("eval", "m.onnx", IRIS, "--target", "species").decode().startswith(f"accuracy {said}"))

    def test_options_of_reading(self):
        self.write("t.csv", "0,1,2\n" + "".join(f"{i},{i % 3},{i % 2}\n" for i in range(40)))
        arguments = ["fit", "t.csv", "--target", "2", "-o", "m.onnx", "--epochs", "1", "-q"]
        self.fail_with(INVALID_INPUT, *arguments, message="say --header yes or --header no")
        self.succeed(*arguments, "--header", "yes")
        self.fail_with(INVALID_INPUT, *arguments, "--header", "no", message="no column '2'")
        self.write("t.csv", "".join(f"{i},5;{i % 7},5;{i % 2},0\n" for i in range(40)))
        arguments[3] = "column_3"
        self.fail_with(INVALID_INPUT, *arguments, message="say which with --sep")
        self.succeed(*arguments, "--sep", ";")
        self.fail_with(USAGE, *arguments, "--sep", "ab", message="--sep")
        result = self.run_program(*arguments[:-1], "--sep", ";", "-v")
        self.assertIn(b"t.csv: the first line is data:", result.stderr)
        self.assertIn(b"separated by ';', decimals by ','", result.stderr)


class Output(BntrainTest):
    def setUp(self):
        super().setUp()
        rows = "\n".join(f"{i % 5},{i % 3},{'ab'[i % 2]}" for i in range(40))
        self.write("table.csv", f"p,q,class\n{rows}\n")

    def arguments(self, output):
        return ["fit", "table.csv", "--target", "class", "--epochs", "1", "-o", output]

    def test_file(self):
        self.assertIn(b"training   accuracy", self.succeed(*self.arguments("m.onnx")))
        onnx.checker.check_model(onnx.load(str(self.folder / "m.onnx")))

    def test_standard_output_is_the_model_and_nothing_else(self):
        result = self.run_program(*self.arguments("-"))
        self.assertEqual(result.returncode, 0)
        onnx.checker.check_model(onnx.load_from_string(result.stdout))
        self.assertIn(b"training   accuracy", result.stderr)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["table.csv"])
        terminal, program_side = os.openpty()
        try:
            self.fail_with(USAGE, *self.arguments("-"), stdout=program_side, message="terminal")
        finally:
            os.close(terminal)
            os.close(program_side)

    def test_targets_are_checked_before_the_work(self):
        self.fail_with(USAGE, *self.arguments("table.csv"), message="is the input")
        self.fail_with(IO, *self.arguments("missing/m.onnx"), message="missing/m.onnx")
        self.fail_with(IO, *self.arguments("m.onnx"), "--history", "missing/h.csv", message="missing/h.csv")
        missing = ["fit", "no.csv", "--target", "class", "-o", "missing/m.onnx"]
        self.fail_with(IO, *missing, message="missing/m.onnx")


if __name__ == "__main__":
    unittest.main()
