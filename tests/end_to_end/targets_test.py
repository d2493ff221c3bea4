"""Several targets at once, numbers and labels, from the table to predictions in other programs."""

import json
import unittest

import numpy as np
import onnx

from bntrain_test import DIABETES, IRIS, BntrainTest
from programs import INVALID_INPUT, UNSUPPORTED, USAGE, ProgramTest


def table_of(columns):
    names = list(columns)
    rows = zip(*(columns[name] for name in names))
    return "\n".join([",".join(names), *(",".join(f"{value:.6g}" for value in row) for row in rows)]) + "\n"


def measured(rows=600):
    draw = np.random.default_rng(3)
    x = draw.normal(size=(rows, 5))
    noise = draw.normal(size=(rows, 3))
    features = {f"x{i}": x[:, i] for i in range(5)}
    numbers = {"grams": 300 * x[:, 0] - 100 * x[:, 1] + 10 * noise[:, 0] + 5000, "share": 0.1 * np.tanh(x[:, 2]) + 0.002 * noise[:, 1]}
    labels = {"warm": x[:, 0] + x[:, 1] > 0, "wet": x[:, 2] > 0.7, "odd": x[:, 3] * x[:, 4] > 0}
    return {**features, **numbers}, {**features, **labels}


class Targets(BntrainTest):
    def setUp(self):
        super().setUp()
        self.numbers, self.labels = measured()
        self.write("n.csv", table_of(self.numbers))
        self.write("l.csv", table_of(self.labels))

    def metadata(self, model="m.onnx"):
        return {p.key: p.value for p in onnx.load(str(self.folder / model)).metadata_props}

    def predictions(self, table, *arguments):
        other = ProgramTest()
        other.program, other.folder = "bnrun", self.folder
        lines = other.succeed("predict", "m.onnx", "-i", table, *arguments).decode().splitlines()
        return lines[0].split(","), np.array([line.split(",") for line in lines[1:]], np.float64)

    def test_several_numbers_are_predicted_and_measured_each_in_its_units(self):
        for options in [[], ["--fold-training"], ["--qat", "int8"], ["--target", "share"]]:
            with self.subTest(options=options):
                errors, output = self.fit("n.csv", "grams" if "--target" in options else "grams,share", "--holdout", "100", "--epochs", "40", *options)
                self.assertTrue(errors.startswith("regression of 2 targets: 'grams', 'share' are numbers\n"), errors)
                self.assertIn("n.csv: 600 rows, 5 features, targets 'grams', 'share'", errors)
                self.assertRegex(output, r"target +RMSE +MAE +R2\n")
                self.assertEqual(json.loads(self.metadata()["bnrun.targets"]), ["grams", "share"])
                self.assertNotIn("bnrun.target", self.metadata())
                names, y = self.predictions("n.csv")
                self.assertEqual(names, ["grams", "share"])
                told = json.loads(self.succeed("eval", "m.onnx", "n.csv", "--target", "grams,share", "--json"))
                r2 = []
                for i, name in enumerate(names):
                    truth = self.numbers[name]
                    error = y[:, i] - truth
                    score = told["targets"][name]
                    self.assertAlmostEqual(score["root_mean_squared_error"] / np.sqrt(np.mean(error ** 2)), 1, places=3)
                    self.assertAlmostEqual(score["mean_absolute_error"] / np.mean(np.abs(error)), 1, places=3)
                    r2.append(1 - np.sum(error ** 2) / np.sum((truth - truth.mean()) ** 2))
                    self.assertGreater(r2[-1], 0.95)
                self.assertAlmostEqual(told["mean_r2"], np.mean(r2), places=3)
                text = self.succeed("eval", "m.onnx", "n.csv", "--target", "share", "--target", "grams").decode()
                self.assertEqual([line.split()[0] for line in text.splitlines()[1:5:1] if line[0] in "gs"], ["grams", "share"])

    def test_no_first_classes_are_counted_among_labels(self):
        self.fit("l.csv", "warm,wet", "--epochs", "1")
        self.fail_with(USAGE, "eval", "m.onnx", "l.csv", "--target", "warm,wet", "--top", "1",
                       message="--top 1: it counts among classes, and the model predicts labels that may hold at once: leave --top out")

    def test_the_mean_is_of_the_targets_that_have_one(self):
        self.fit("n.csv", "grams,share", "--epochs", "1")
        rows = [line.split(",") for line in (self.folder / "n.csv").read_text().splitlines()]
        places = [rows[0].index(name) for name in ("grams", "share")]
        for constant in (places[:1], places):
            for row in rows[1:]:
                for place in constant:
                    row[place] = "0.1"
            self.write("flat.csv", "\n".join(map(",".join, rows)))
            told = json.loads(self.succeed("eval", "m.onnx", "flat.csv", "--target", "grams,share", "--json"))
            r2 = [target["r2"] for target in told["targets"].values()]
            self.assertEqual([value is None for value in r2], [True, len(constant) == 2])
            self.assertEqual(told["mean_r2"], r2[1])
        self.assertIn(b"mean R2 -\n", self.succeed("eval", "m.onnx", "flat.csv", "--target", "grams,share"))

    def test_several_labels_are_trained_and_measured_each_and_together(self):
        for options in [[], ["--fold-training"], ["--qat", "int8"], ["--loss", "cross-entropy", "--label-smoothing", "0.05"]]:
            with self.subTest(options=options):
                errors, output = self.fit("l.csv", "warm,wet,odd", "--holdout", "100", "--epochs", "60", *options)
                self.assertTrue(errors.startswith("multi-label classification of 3 labels: 'warm', 'wet', 'odd' hold 0 and 1"), errors)
                self.assertIn("loss: binary cross-entropy", errors)
                self.assertIn("rows right in all labels", output)
                self.assertEqual(json.loads(self.metadata()["bnrun.targets"]), ["warm", "wet", "odd"])
                names, p = self.predictions("l.csv")
                self.assertEqual(names, ["warm", "wet", "odd"])
                told = json.loads(self.succeed("eval", "m.onnx", "l.csv", "--target", "odd,wet,warm", "--json"))
                truth = np.stack([self.labels[name] for name in names], 1)
                right = (p > 0.5) == truth
                self.assertAlmostEqual(told["accuracy"], right.mean(), places=6)
                self.assertAlmostEqual(told["exact"], right.all(1).mean(), places=6)
                self.assertGreater(right.mean(), 0.93)
                self.assertEqual(told["label_rows"], truth.sum(0).tolist())
                hits = ((p > 0.5) & truth).sum(0)
                np.testing.assert_allclose(told["recall"], hits / truth.sum(0), atol=1e-9)
                np.testing.assert_allclose(told["precision"], hits / (p > 0.5).sum(0), atol=1e-9)
                loss = -np.mean(np.log(np.where(truth, p, 1 - p)))
                self.assertAlmostEqual(told["log_loss"], loss, places=4)

    def test_folds_and_a_file_to_validate_on(self):
        lines = (self.folder / "l.csv").read_text().splitlines()
        self.write("a.csv", "\n".join(lines[:450]))
        self.write("b.csv", "\n".join([lines[0], *lines[450:]]))
        errors, output = self.fit("a.csv", "warm,wet,odd", "--folds", "3", "--epochs", "20", "--validation-file", "b.csv", "--history", "h.json")
        self.assertIn("right in all labels", output.splitlines()[0])
        self.assertTrue(output.splitlines()[3].startswith("3 folds   accuracy 0.9"), output)
        self.assertIn("val_accuracy", json.loads((self.folder / "h.json").read_text())[0])
        _, output = self.fit("n.csv", "grams,share", "--folds", "3", "--epochs", "20")
        self.assertIn("RMSE grams ", output.splitlines()[0])
        self.assertTrue(output.splitlines()[3].startswith("3 folds   mean R2 0.9"), output)

    def test_checkpoints_tell_the_targets_apart(self):
        self.fit("n.csv", "grams,share", "--epochs", "2", "--checkpoint", "c")
        self.fit("n.csv", "grams,share", "--epochs", "3", "--checkpoint", "c", "--resume")
        self.fail_with(INVALID_INPUT, "fit", "n.csv", "--target", "share,grams", "-o", "m.onnx", "-q", "--checkpoint", "c", "--resume",
                       message="another target: grams,share there, share,grams here")

    def test_tune_goes_on_with_all_of_them(self):
        for table, targets, measure in [("n.csv", "grams,share", "mean_r2"), ("l.csv", "warm,wet,odd", "accuracy")]:
            self.fit(table, targets, "--epochs", "20")
            before = json.loads(self.succeed("eval", "m.onnx", table, "--target", targets, "--json"))[measure]
            for options in [["--epochs", "10"], ["--epochs", "0", "--qat", "int8"]]:
                backwards = ",".join(reversed(targets.split(",")))
                said = self.run_program("tune", "m.onnx", table, "--target", backwards, "-o", "t.onnx", "--holdout", "60", *options)
                self.assertEqual(said.returncode, 0, said.stderr.decode())
                self.assertEqual(self.metadata("t.onnx"), self.metadata())
                after = json.loads(self.succeed("eval", "t.onnx", table, "--target", targets, "--json"))[measure]
                self.assertGreater(after, before - 0.02)
        bare = onnx.load(str(self.folder / "m.onnx"))
        del bare.metadata_props[:]
        onnx.save(bare, str(self.folder / "bare.onnx"))
        self.succeed("tune", "bare.onnx", "l.csv", "--target", "warm,wet,odd", "-o", "t.onnx", "-q", "--epochs", "1", "--by-position")
        self.assertEqual(json.loads(self.metadata("t.onnx")["bnrun.targets"]), ["warm", "wet", "odd"])
        self.fail_with(INVALID_INPUT, "tune", "m.onnx", "l.csv", "--target", "warm,wet", "-o", "t.onnx", "-q",
                       message="--target is 'warm', 'wet', and the model predicts warm,wet,odd")

    def test_a_model_of_classes_is_not_measured_on_several_targets(self):
        self.fit("l.csv", "warm", "--epochs", "2")
        self.fail_with(INVALID_INPUT, "eval", "m.onnx", "l.csv", "--target", "warm,wet",
                       message="2 targets are given, and the model tells the classes of one")

    def test_labels_right_more_often_than_within_the_batches_are_no_reason_to_warn(self):
        self.write("c.csv", table_of({name: column[:60] * (name[0] == "x") for name, column in self.labels.items()}))
        for seed in "234678":
            errors, _ = self.fit("c.csv", "warm,wet", "--epochs", "1", "--drop", "odd", "--seed", seed)
            self.assertNotIn("still trail behind", errors)

    def test_one_label_and_a_name_with_a_comma(self):
        self.fit("l.csv", "warm", "--task", "multilabel", "--epochs", "30")
        told = json.loads(self.succeed("eval", "m.onnx", "l.csv", "--target", "warm", "--json"))
        self.assertEqual(told["labels"], ["warm"])
        self.assertGreater(told["accuracy"], 0.9)
        self.write("comma.csv", (self.folder / "l.csv").read_text().replace("x0,x1", "x0,\"x1,x2\"", 1).replace("x2,x3", "x9,x3", 1))
        errors, _ = self.fit("comma.csv", "x1,x2", "--epochs", "1")
        self.assertIn("target 'x1,x2'", errors)

    def test_compare_takes_labels(self):
        said = self.succeed("compare", "l.csv", "--target", "warm,wet,odd", "--epochs", "2", "--seeds", "1", "--rates", "0.01", "-q",
                            "--initial-scales", "1").decode()
        self.assertIn("best accuracy", said)

    def test_what_does_not_fit_together_is_refused(self):
        fit = ["fit", "l.csv", "-o", "m.onnx", "-q", "--epochs", "1", "--target"]
        for code, arguments, message in [
                (INVALID_INPUT, [*fit, "warm,warm"], "--target names 'warm' twice"),
                (INVALID_INPUT, [*fit, "warm,wet", "--task", "classification"], "--task classification has one target, and 'warm', 'wet' are 2"),
                (INVALID_INPUT, [*fit, "warm,x0", "--task", "multilabel"], "line 2, column 'x0': '2.04092' is no label, which is 0 or 1"),
                (INVALID_INPUT, ["fit", IRIS, *fit[2:], "species,petal_width"], "'species' holds words: several targets are numbers, or labels"),
                (USAGE, [*fit, "warm,wet", "--loss", "mae"], "--loss mae does not fit the target: it is labels"),
                (USAGE, [*fit, "warm,wet", "--class-weights", "balanced"], "--class-weights are for one target of classes"),
                (USAGE, [*fit, "warm,wet", "--layers", "dense softmax"], "several labels may hold at once, which sigmoid is for"),
                (USAGE, [*fit, "warm,wet", "--layers", "dense(3)"], "the last dense layer has 3 units, the target needs 2")]:
            with self.subTest(message):
                self.fail_with(code, *arguments, message=message)
        self.fit(DIABETES, "progression", "--epochs", "1", "--drop", "age")
        self.fail_with(INVALID_INPUT, "eval", "m.onnx", DIABETES, "--target", "progression,age",
                       message="m.onnx: puts out 1 numbers for a row, and --target names 2 columns")
        self.fit(IRIS, "species", "--epochs", "1")
        self.fail_with(UNSUPPORTED, "tune", "m.onnx", IRIS, "--target", "petal_width", "--task", "multilabel", "-o", "t.onnx", "-q",
                       message="m.onnx: it ends in no Sigmoid, which labels that may hold at once need")


if __name__ == "__main__":
    unittest.main()
