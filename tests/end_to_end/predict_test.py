"""`bnrun predict`: labels and probabilities for the rows of a table; and what `bnrun inspect` tells of classes."""

import csv
import json
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from programs import INVALID_INPUT, MODELS, UNSUPPORTED, USAGE, ProgramTest


def softmax(a, b):
    e = np.exp(np.float64([a, b, a + b]))
    return e / e.sum()


class Predict(ProgramTest):
    program = "bnrun"
    ROWS = [(2, -1), (-1, 2), (1, 1)]  # a, b and a + b is the largest

    def setUp(self):
        super().setUp()
        self.write("rows.csv", "name,a,b\n" + "".join(f"row {i},{a},{b}\n" for i, (a, b) in enumerate(self.ROWS)))

    def table(self, *arguments, **options):
        return list(csv.DictReader(self.succeed("predict", *arguments, **options).decode().splitlines()))

    def test_a_label_and_its_probability_for_each_row(self):
        rows = self.table(MODELS / "classes.onnx", "-i", "rows.csv")
        self.assertEqual([list(row) for row in rows], [["label", "probability"]] * 3)
        self.assertEqual([row["label"] for row in rows], ["low", "high", "sum"])
        np.testing.assert_allclose([float(row["probability"]) for row in rows], [softmax(*r).max() for r in self.ROWS], rtol=1e-6)

    def test_probabilities_of_all_classes(self):
        rows = self.table(MODELS / "classes.onnx", "-i", "rows.csv", "--proba")
        self.assertEqual(list(rows[0]), ["label", "probability", "probability_low", "probability_high", "probability_sum"])
        for row, given in zip(rows, self.ROWS):
            np.testing.assert_allclose([float(row[f"probability_{c}"]) for c in ("low", "high", "sum")], softmax(*given), rtol=1e-6)

    def test_columns_of_the_table_stand_in_front(self):
        model = MODELS / "classes.onnx"
        self.assertEqual(list(self.table(model, "-i", "rows.csv", "--id", "name")[1].items())[:2], [("name", "row 1"), ("label", "high")])
        row = self.table(model, "-i", "rows.csv", "--append")[0]
        self.assertEqual(list(row), ["name", "a", "b", "label", "probability"])
        self.assertEqual((row["name"], row["a"], row["b"]), ("row 0", "2", "-1"))
        self.assertEqual(list(self.table(model, "-i", "rows.csv", "--id", "b", "--append")[0])[:3], ["b", "name", "a"])
        self.write("taken.csv", "a,b,label\n2,-1,old\n")
        row, = self.table(model, "-i", "taken.csv", "--append")
        self.assertEqual((row["label"], row["predicted_label"]), ("old", "low"))

    def test_the_id_is_no_input_of_a_model_that_knows_no_names(self):
        self.write("ids.csv", "7,2,-1\n8,-1,2\n")
        rows = self.table(MODELS / "zipmap.onnx", "-i", "ids.csv", "--id", "column_1", "--header", "no")
        self.assertEqual([tuple(row.values())[:2] for row in rows], [("7", "ant"), ("8", "bee")])

    def test_labels_of_a_zip_map(self):
        rows = self.table(MODELS / "zipmap.onnx", "-i", "rows.csv", "--id", "name", "--proba")
        self.assertEqual([row["label"] for row in rows], ["ant", "bee", "cat"])
        self.assertEqual(list(rows[0])[-3:], ["probability_ant", "probability_bee", "probability_cat"])

    def test_one_score_of_two_classes(self):
        rows = self.table(MODELS / "binary.onnx", "-i", "rows.csv", "--proba")
        self.assertEqual([row["label"] for row in rows], ["yes", "no", "yes"])
        p = 1 / (1 + np.exp(-np.float64([2, -1, 1])))
        np.testing.assert_allclose([float(row["probability_yes"]) for row in rows], p, rtol=1e-6)
        np.testing.assert_allclose([float(row["probability"]) for row in rows], np.maximum(p, 1 - p), rtol=1e-6)

    def test_scores_that_are_no_probabilities_are_not_called_so(self):
        rows = self.table(MODELS / "scores.onnx", "-i", "rows.csv")
        self.assertEqual(list(rows[0].items()), [("label", "low"), ("score", "2")])

    def test_names_of_classes_may_be_given(self):
        model = MODELS / "nameless.onnx"
        arrays = self.save_rows()
        self.assertEqual([row["label"] for row in self.table(model, "-i", arrays, "--labels", "x,y,z")], ["x", "y", "z"])
        self.assertEqual(list(self.table(model, "-i", arrays)[0]), ["p_0", "p_1", "p_2"])
        self.fail_with(USAGE, "predict", model, "-i", arrays, "--proba", message="--labels")
        self.fail_with(USAGE, "predict", model, "-i", arrays, "--labels", "x,y,z,w", message="no output has scores of 4 classes")
        self.fail_with(USAGE, "predict", model, "-i", arrays, "--labels", "x,y,x", message="--labels: 'x' is there twice")

    def test_given_names_take_the_place_of_the_models_own_labels(self):
        arrays = self.save_rows()
        w = numpy_helper.from_array(np.float32([[1, 0, 1], [0, 1, 1]]), "w")
        scores = [helper.make_node("MatMul", ["x", "w"], ["s"]), helper.make_node("Softmax", ["s"], ["p"])]
        index = helper.make_node("ArgMax", ["s"], ["label"], axis=1, keepdims=0)
        own = [helper.make_node("LinearClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", coefficients=[1., 0, 0, 1, 1, 1],
                                intercepts=[0., 0, 0], post_transform="SOFTMAX", **labels)
               for labels in ({"classlabels_ints": [1, 2, 3]}, {"classlabels_strings": ["ant", "bee", "cat"]})]
        integers = helper.make_tensor_value_info("label", TensorProto.INT64, ["N"])
        strings = helper.make_tensor_value_info("label", TensorProto.STRING, ["N"])
        p = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["N", 3])
        for nodes, outputs, labels in [(scores + [index], [integers, p], "012"), (scores + [index], [integers], None), (own[:1], [integers, p], "123"),
                                       (own[1:], [strings, p], ["ant", "bee", "cat"])]:
            with self.subTest(outputs=[o.name for o in outputs], labels=labels):
                graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])], outputs, [w])
                onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 2)]),
                          str(self.folder / "own.onnx"))
                if labels:
                    self.assertEqual([row["label"] for row in self.table("own.onnx", "-i", arrays)], list(labels))
                else:
                    self.assertEqual(list(self.table("own.onnx", "-i", arrays)[0]), ["label"])
                    self.fail_with(USAGE, "predict", "own.onnx", "-i", arrays, "--proba", message="--proba: the model puts out labels and no scores: leave --proba out")
                self.assertEqual([row["label"] for row in self.table("own.onnx", "-i", arrays, "--labels", "x,y,z")], ["x", "y", "z"])
                message = "no output has scores of 2 classes" if labels else "--labels: output 'label' is 2, and 2 classes are named, the first being 0"
                self.fail_with(USAGE, "predict", "own.onnx", "-i", arrays, "--labels", "x,y", message=message)
        self.assertEqual([row["label"] for row in self.table(MODELS / "zipmap.onnx", "-i", arrays, "--labels", "x,y,z")], ["x", "y", "z"])

    def test_probabilities_without_names_come_with_the_option_that_gives_them(self):
        arrays = self.save_rows()
        note = b"the model names no classes; --labels A,B,... does, in the order of these probabilities\n"
        self.assertEqual(self.run_program("predict", MODELS / "nameless.onnx", "-i", arrays).stderr, note)
        for model, *options in [("nameless.onnx", "--labels", "x,y,z"), ("classes.onnx",), ("scores.onnx",)]:
            self.assertEqual(self.run_program("predict", MODELS / model, "-i", arrays, *options).stderr, b"")

    def test_a_model_of_several_targets_has_no_classes_to_name(self):
        self.program = "bntrain"
        self.write("l.csv", "x,a,b\n1,0,1\n2,1,0\n3,1,1\n4,0,0\n")
        self.succeed("fit", "l.csv", "--target", "a,b", "-o", "l.onnx", "--epochs", "1", "--validation", "0")
        self.program = "bnrun"
        self.assertEqual(self.run_program("predict", "l.onnx", "-i", "l.csv").stderr, b"")
        self.fail_with(USAGE, "predict", "l.onnx", "-i", "l.csv", "--proba",
                       message="--proba: the model predicts a, b, each by itself; without --proba all its numbers are written")
        self.fail_with(USAGE, "predict", "l.onnx", "-i", "l.csv", "--labels", "no,yes",
                       message="--labels: the model predicts a, b, each by itself, and no classes")

    def save_rows(self):
        np.save(self.folder / "rows.npy", np.float32(self.ROWS))
        return "rows.npy"

    def test_json_is_one_object_for_each_row(self):
        for arguments in (["-f", "json"], ["-o", "out.json"]):
            out = self.succeed("predict", MODELS / "classes.onnx", "-i", "rows.csv", "--append", *arguments)
            rows = json.loads(out or (self.folder / "out.json").read_text())
            self.assertEqual([row["label"] for row in rows], ["low", "high", "sum"])
            self.assertEqual((rows[0]["name"], rows[0]["a"]), ("row 0", 2))
            self.assertAlmostEqual(rows[0]["probability"], softmax(2, -1).max(), places=6)

    def test_a_number_for_each_row_of_a_model_without_classes(self):
        self.program = "bntrain"
        self.write("lines.csv", "x,y\n" + "".join(f"{i},{2 * i + 1}\n" for i in range(40)))
        self.succeed("fit", "lines.csv", "--target", "y", "-o", "line.onnx", "--epochs", "2", "--layers", "dense", "--task", "regression")
        self.program = "bnrun"
        rows = self.table("line.onnx", "-i", "lines.csv", "--append")
        self.assertEqual(list(rows[0]), ["x", "y", "prediction"])
        plain = self.succeed("line.onnx", "-i", "lines.csv").decode().splitlines()
        self.assertEqual([row["prediction"] for row in rows], plain[1:])

    def test_a_row_of_nan_has_no_label(self):
        np.save(self.folder / "nan.npy", np.float32([[1, np.nan], [2, -1]]))
        rows = self.table(MODELS / "classes.onnx", "-i", "nan.npy")
        self.assertEqual([row["label"] for row in rows], ["", "low"])
        np.save(self.folder / "inf.npy", np.float32([[np.inf, -np.inf]]))
        row, = self.table(MODELS / "classes.onnx", "-i", "inf.npy", "--proba")
        self.assertEqual(set(row.values()), {"", "nan"})  # without the sign that it happens to have

    def test_many_rows_come_in_blocks_with_their_own_columns(self):
        self.write("many.csv", "id,a,b\n" + "".join(f"{i},{i % 5},1\n" for i in range(9000)))
        rows = self.table(MODELS / "classes.onnx", "-i", "many.csv", "--id", "id")
        self.assertEqual([row["id"] for row in rows], [str(i) for i in range(9000)])
        self.assertEqual([row["label"] for row in rows[4095:4100]], [row["label"] for row in rows[:5]])

    def test_columns_of_rows_that_the_model_regroups_are_refused(self):
        for shape in ([-1, 1], [1, -1]):
            with self.subTest(shape):
                graph = helper.make_graph(
                    [helper.make_node("Reshape", ["x", "shape"], ["y"])], "g",
                    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
                    [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                    [numpy_helper.from_array(np.int64(shape), "shape")])
                onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)]), str(self.folder / "r.onnx"))
                self.fail_with(UNSUPPORTED, "predict", "r.onnx", "-i", "rows.csv", "--id", "name", message="predictions for the 3 rows")

    def test_refuses_what_makes_no_sense(self):
        model = MODELS / "classes.onnx"
        arrays = self.save_rows()
        self.fail_with(USAGE, "predict", model, "-i", arrays, "--append", message="are for tables")
        self.fail_with(USAGE, "predict", model, "--random", "--append", message="give one -i")
        self.fail_with(USAGE, "predict", model, "-i", "rows.csv", "-o", "out.npy", message="out.npy")
        self.fail_with(INVALID_INPUT, "predict", model, "-i", "rows.csv", "--id", "nam", message="'nam'")
        np.save(self.folder / "logits.npy", np.float32([[3, 0]]))
        self.fail_with(UNSUPPORTED, "predict", MODELS / "single.onnx", "-i", "logits.npy", message="is no probability")


class Inspect(ProgramTest):
    program = "bnrun"

    def test_classes_features_target_and_producer_are_told(self):
        out = self.succeed("inspect", MODELS / "classes.onnx").decode()
        for line in ("producer  make_models 1", "features  2: a, b", "classes   3: low, high, sum", "target    kind"):
            self.assertIn(line + "\n", out)
        told = json.loads(self.succeed("inspect", MODELS / "classes.onnx", "--json"))
        self.assertEqual((told["features"], told["classes"]), (["a", "b"], ["low", "high", "sum"]))
        self.assertIn("classes   3: ant, bee, cat\n", self.succeed("inspect", MODELS / "zipmap.onnx").decode())

    def test_scaling_is_told(self):
        self.program = "bntrain"
        self.write("table.csv", "x,z,y\n" + "".join(f"{i},{i * i},{2 * i + 1}\n" for i in range(40)))
        self.succeed("fit", "table.csv", "--target", "y", "-o", "model.onnx", "--epochs", "1", "--layers", "dense", "--task", "regression",
                     "--scale", "standardize")
        self.program = "bnrun"
        out = self.succeed("inspect", "model.onnx").decode()
        self.assertIn("scaling   Sub 'input_offset'\nscaling   Mul 'input_factor'\n", out)


if __name__ == "__main__":
    unittest.main()
