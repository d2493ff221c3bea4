"""bntrain tune as a user calls it: on models of bntrain, on such as torch and Keras export, and on those it has to refuse."""

import csv
import importlib.util
import json
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bntrain_test import DIABETES, IRIS, BntrainTest
from programs import INVALID_INPUT, UNSUPPORTED, USAGE

CLASSES = ["setosa", "versicolor", "virginica"]


def iris():
    with open(IRIS) as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in rows[0] if name != "species"]
    return np.array([[float(row[c]) for c in columns] for row in rows], np.float32), [row["species"] for row in rows], columns


def make(nodes, constants, output=("y", [None, 3]), row=(4,), batch="N", opset=15, inputs=("x",)):
    """A model of [N, row] float32; nodes are (operator, inputs, output, attributes)."""
    made = [helper.make_node(op, i, [o], name=f"{op}_{o}", **a) for op, i, o, a in nodes]
    graph = helper.make_graph(
        made, "g", [helper.make_tensor_value_info(i, TensorProto.FLOAT, [batch, *row]) for i in inputs],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(np.asarray(v, np.int64 if k.endswith("shape") else np.float32), k) for k, v in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def weights(seed=1):
    draw = np.random.default_rng(seed)
    return {"W1": draw.normal(0, 0.5, (4, 8)), "b1": np.zeros(8), "W2": draw.normal(0, 0.5, (8, 3)), "b2": np.zeros(3),
            "slope": np.full(8, 2.0), "order_shape": np.arange(8)[::-1], "moved_shape": [0, 1, 0, -1], "scale": np.ones(8), "B": np.zeros(8), "mean": np.zeros(8), "var": np.ones(8)}


# As tf2onnx writes Keras's layers: MatMul and Add.
KERAS = [("MatMul", ["x", "W1"], "a", {}), ("Add", ["a", "b1"], "b", {}),
         ("BatchNormalization", ["b", "scale", "B", "mean", "var"], "c", {"epsilon": 1e-3, "momentum": 0.9}),
         ("Relu", ["c"], "d", {}), ("Identity", ["d"], "e", {}), ("Dropout", ["e"], "f", {}), ("MatMul", ["f", "W2"], "g", {}),
         ("Add", ["g", "b2"], "h", {}), ("Softmax", ["h"], "y", {})]


class Tune(BntrainTest):
    def tune(self, model, table, target, *options, out="t.onnx"):
        result = self.run_program("tune", model, table, "--target", target, "-o", out, "--validation", "0", *options)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result.stderr.decode(), result.stdout.decode()

    def outputs(self, model, rows):
        np.save(self.folder / "rows.npy", rows)
        return np.array(self.bnrun(model, "-i", "rows.npy")[1:], np.float64)

    def accuracy(self, model, table, target="species"):
        return float(self.succeed("eval", model, table, "--target", target).decode().split("accuracy ")[1].split(":")[0])

    def write_iris(self, name, change):
        x, species, columns = iris()
        lines = [",".join([*columns, "species"])]
        lines += [",".join([*map(repr, map(float, row)), kind]) for row, kind in zip(change(x), species)]
        return self.write(name, "\n".join(lines) + "\n")


class Own(Tune):
    def test_no_epoch_gives_the_bits_that_the_model_gave(self):
        for table, target in [(IRIS, "species"), (DIABETES, "progression")]:
            self.fit(table, target, "--epochs", "10")
            _, said = self.tune("m.onnx", table, target, "--epochs", "0")
            self.assertEqual(said.splitlines()[0].split()[1:], said.splitlines()[1].split()[1:])  # before, and after
            rows = np.array([line.split(",")[:-1] for line in table.read_text().splitlines()[1:]], np.float32)
            np.testing.assert_array_equal(self.outputs("t.onnx", rows), self.outputs("m.onnx", rows))
            before, after = (onnx.load(str(self.folder / name)) for name in ("m.onnx", "t.onnx"))
            self.assertEqual({p.key: p.value for p in before.metadata_props}, {p.key: p.value for p in after.metadata_props})
            self.assertEqual([i.name for i in before.graph.input], [i.name for i in after.graph.input])

    def test_it_learns_what_has_shifted(self):
        self.fit(IRIS, "species")
        shifted = self.write_iris("s.csv", lambda x: x[:, ::-1] * 1.5 + 1)
        _, said = self.tune("m.onnx", shifted, "species", "--epochs", "40")
        losses = [float(line.split("loss ")[1]) for line in said.splitlines()[:2]]
        self.assertLess(losses[1], 0.5 * losses[0])
        self.assertGreater(self.accuracy("t.onnx", shifted), 0.9)

    def test_recalibrating_restores_what_another_scale_cost(self):
        self.fit(IRIS, "species", "--epochs", "40", "--layers", "bn dense(16) bn relu dense")
        scaled = self.write_iris("s.csv", lambda x: x * 7 + 5)
        self.tune("m.onnx", IRIS, "species", "--epochs", "0", "--recalibrate")
        right = self.accuracy("t.onnx", IRIS)
        self.assertGreater(right, self.accuracy("m.onnx", IRIS) - 0.05)
        self.assertLess(self.accuracy("m.onnx", scaled), 0.7)
        self.tune("m.onnx", scaled, "species", "--epochs", "0", "--recalibrate")
        self.assertAlmostEqual(self.accuracy("t.onnx", scaled), right, delta=0.01)

    def test_folded_and_int8_models_hold_no_batch_normalization(self):
        self.fit(IRIS, "species")
        for options in [["--fold-training"], ["--qat", "int8"]]:
            for epochs in ["0", "5"]:
                _, said = self.tune("m.onnx", IRIS, "species", "--epochs", epochs, *options)
                operators = {node.op_type for node in onnx.load(str(self.folder / "t.onnx")).graph.node}
                self.assertNotIn("BatchNormalization", operators)
                self.assertEqual("QuantizeLinear" in operators, "--qat" in options)
                self.assertIn(f"training   accuracy {self.accuracy('t.onnx', IRIS):.4f}", said)

    def test_rows_held_out_history_and_checkpoints_are_those_of_fit(self):
        self.fit(IRIS, "species")
        arguments = ["--epochs", "6", "--holdout", "30", "--history", "h.csv", "--recipe", "keras"]
        _, said = self.tune("m.onnx", IRIS, "species", *arguments)
        self.assertIn("held-out   accuracy", said)
        self.assertIn("mean ", said)
        self.assertEqual(len((self.folder / "h.csv").read_text().splitlines()), 7)
        self.tune("m.onnx", IRIS, "species", *arguments, "--checkpoint", "c", out="c.onnx")
        self.assertEqual((self.folder / "c.onnx").read_bytes(), (self.folder / "t.onnx").read_bytes())
        self.tune("m.onnx", IRIS, "species", "--epochs", "3", *arguments[2:], "--checkpoint", "c3", out="half.onnx")
        self.tune("m.onnx", IRIS, "species", *arguments, "--checkpoint", "c3", "--resume", out="c.onnx")
        self.assertEqual((self.folder / "c.onnx").read_bytes(), (self.folder / "t.onnx").read_bytes())

    def test_usage(self):
        self.fit(IRIS, "species", "--epochs", "1")
        tune = ["tune", "m.onnx", IRIS, "--target", "species"]
        self.fail_with(USAGE, *tune, "-o", "m.onnx", message="m.onnx")
        self.fail_with(USAGE, *tune, "-o", "t.onnx", "--resume", message="--resume needs --checkpoint")
        self.fail_with(USAGE, *tune, "-o", "t.onnx", "-q", "--loss", "mae", message="--loss mae does not fit the target")
        self.fail_with(UNSUPPORTED, *tune, "-o", "t.onnx", "--task", "regression",
                       message="m.onnx: it ends in Softmax, and the target is a number")


class Foreign(Tune):
    def save(self, model, name="f.onnx"):
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(self.folder / name))

    def test_matmul_and_add_are_a_dense_layer(self):
        self.save(make(KERAS, weights()))
        x = iris()[0]
        self.tune("f.onnx", IRIS, "species", "--epochs", "0")
        np.testing.assert_allclose(self.outputs("t.onnx", x), self.outputs("f.onnx", x), rtol=1e-6)
        errors, _ = self.tune("f.onnx", IRIS, "species", "--epochs", "60", "--learning-rate", "0.01")
        for layer in ["dense_1 (Dense) ", "batch_normalization_1 (", "dropout_1 (", "dense_2 (Dense) ", "softmax_1 ("]:
            self.assertIn(layer, errors)
        self.assertNotIn("linear", errors)
        self.assertGreater(self.accuracy("t.onnx", IRIS), 0.95)
        model = onnx.load(str(self.folder / "t.onnx"))
        onnx.checker.check_model(model, full_check=True)
        self.assertEqual((model.graph.input[0].name, model.graph.output[0].name), ("x", "y"))
        self.assertEqual({p.key: p.value for p in model.metadata_props}["bnrun.classes"], '["setosa","versicolor","virginica"]')

    def test_logits_stay_logits(self):
        self.save(make(KERAS[:-1], weights(), output=("h", ["N", 3])))
        x, species, _ = iris()
        _, said = self.tune("f.onnx", IRIS, "species", "--epochs", "60", "--learning-rate", "0.01")
        y = self.outputs("t.onnx", x)
        self.assertGreater(np.abs(y.sum(1) - 1).max(), 0.1)
        right = np.mean([CLASSES[c] == s for c, s in zip(y.argmax(1), species)])
        self.assertIn(f"training   accuracy {right:.4f}", said)
        self.assertGreater(right, 0.95)
        label = np.array([CLASSES.index(s) for s in species])
        loss = np.mean(np.log(np.exp(y - y.max(1, keepdims=True)).sum(1)) + y.max(1) - y[np.arange(len(y)), label])
        told = self.succeed("eval", "t.onnx", IRIS, "--target", "species", "--json").decode()
        self.assertAlmostEqual(json.loads(told)["log_loss"], loss, places=4)

    def test_rows_that_give_nan_count_as_wrong(self):
        self.save(make(KERAS, weights()))
        self.tune("f.onnx", IRIS, "species", "--epochs", "0")  # which gives its classes names
        x, species, _ = iris()
        rows = self.write_iris("nan.csv", lambda x: np.where(np.arange(len(x))[:, None] < 3, np.nan, x))
        result = self.run_program("eval", "t.onnx", rows, "--target", "species", "--json")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertIn("gives NaN for 3 rows, which count as wrong", result.stderr.decode())
        right = self.outputs("t.onnx", x[3:]).argmax(1) == [CLASSES.index(s) for s in species[3:]]
        self.assertEqual(json.loads(result.stdout)["correct"], right.sum())

    def test_a_sigmoid_tells_two_classes_apart_or_each_from_the_rest(self):
        two = self.write("two.csv", "\n".join(l for l in IRIS.read_text().splitlines() if not l.endswith("setosa")))
        constants = {**weights(), "W2": weights()["W2"][:, :1], "b2": [0.0]}
        x = np.array([line.split(",")[:4] for line in two.read_text().splitlines()[1:]], np.float32)
        for ending, nodes in [("Sigmoid", [*KERAS[:-1], ("Sigmoid", ["h"], "y", {})]), ("logit", [*KERAS[:-2], ("Add", ["g", "b2"], "y", {})])]:
            with self.subTest(ending):
                self.save(make(nodes, constants, output=("y", ["N", 1])))
                self.fail_with(INVALID_INPUT, "eval", "f.onnx", two, "--target", "species",
                               message="column 'species' holds words, and the model names no classes: `bntrain tune` with --epochs 0 names them")
                _, said = self.tune("f.onnx", two, "species", "--task", "classification", "--epochs", "80", "--learning-rate", "0.01")
                right = ((self.outputs("t.onnx", x)[:, 0] > (0.5 if ending == "Sigmoid" else 0)) == (np.arange(100) >= 50)).mean()
                self.assertIn(f"training   accuracy {right:.4f}", said)
                self.assertGreater(right, 0.9)
                told = json.loads(self.succeed("eval", "t.onnx", two, "--target", "species", "--json"))
                self.assertEqual((told["classes"], told["accuracy"]), (["versicolor", "virginica"], right))
                self.assertGreater(told["auc"][1], 0.9)
                numbered = self.write("01.csv", two.read_text().replace("versicolor", "0").replace("virginica", "1"))
                _, said = self.tune("f.onnx", numbered, "species", "--task", "classification", "--epochs", "1", "--holdout", "20")
                self.assertIn("class  precision", said)
                told = json.loads(self.succeed("eval", "t.onnx", numbered, "--target", "species", "--json"))
                self.assertEqual(told["classes"], ["0", "1"])
        self.save(make([*KERAS[:-1], ("Sigmoid", ["h"], "y", {})], weights()))
        self.tune("f.onnx", IRIS, "species", "--epochs", "60", "--learning-rate", "0.02")
        self.assertGreater(self.accuracy("t.onnx", IRIS), 0.9)

    def test_what_stands_before_the_first_layer_stays(self):
        nodes = [("Sub", ["x", "offset"], "u", {}), ("Reshape", ["u", "a_shape"], "v", {}), ("Flatten", ["v"], "w", {"axis": 1}),
                 ("Gemm", ["w", "W1", "b1"], "b", {}), *KERAS[2:]]
        self.save(make(nodes, {**weights(), "offset": [5.8, 3.0, 3.8, 1.2], "a_shape": [0, 2, 2]}))
        self.tune("f.onnx", IRIS, "species", "--epochs", "60", "--learning-rate", "0.01")
        self.assertEqual([n.op_type for n in onnx.load(str(self.folder / "t.onnx")).graph.node[:4]], ["Sub", "Reshape", "Flatten", "Gemm"])
        self.assertGreater(self.accuracy("t.onnx", IRIS), 0.95)

    def test_old_operator_sets_are_written_as_new_ones(self):
        self.save(make(KERAS, weights(), opset=9))
        self.tune("f.onnx", IRIS, "species", "--epochs", "1")
        onnx.checker.check_model(str(self.folder / "t.onnx"), full_check=True)
        self.save(make([("Sub", ["x", "offset"], "u", {}), ("MatMul", ["u", "W1"], "a", {}), *KERAS[1:]],
                       {**weights(), "offset": np.ones(4)}, opset=9))
        self.refuse("its operators are of opset 9, and what is trained is written in 13 or later")

    def refuse(self, message, code=UNSUPPORTED):
        self.fail_with(code, "tune", "f.onnx", IRIS, "--target", "species", "-o", "t.onnx", "-q", message=message)

    def test_a_part_that_cannot_be_trained_is_named_with_what_helps(self):
        bn = KERAS[2]
        cases = [
            ("node 'HardSwish_d' (HardSwish): it is no layer that can be trained (Gemm, MatMul,",
             [*KERAS[:3], ("HardSwish", ["c"], "d", {}), *KERAS[4:]], {}),
            ("node 'BatchNormalization_c' (BatchNormalization): it is in training mode; convert the model first (bnfold --as-inference)",
             [*KERAS[:2], (*bn[:3], {"training_mode": 1}), *KERAS[3:]], {}),
            ("node 'Mul_e' (Mul): it maps values between layers; fold it into them first (bnfold)",
             [*KERAS[:4], ("Mul", ["d", "slope"], "e", {}), *KERAS[5:]], {}),
            ("node 'Gather_e' (Gather): it is no layer that can be trained",
             [*KERAS[:4], ("Gather", ["d", "order_shape"], "e", {"axis": 1}), *KERAS[5:]], {}),
            ("node 'Pad_e' (Pad): it is no layer that can be trained",
             [*KERAS[:4], ("Pad", ["d", "moved_shape"], "e", {}), *KERAS[5:]], {}),
            ("node 'Mul_m' (Mul): it does not stand behind the layer before it alone",
             [*KERAS[:4], ("Mul", ["d", "b"], "m", {}), ("Relu", ["m"], "e", {}), *KERAS[5:]], {}),
            ("node 'Gemm_c' (Gemm): it does not stand behind the layer before it alone",
             [*KERAS[:2], ("Gemm", ["x", "W1"], "c", {}), ("Add", ["b", "c"], "e", {}), *KERAS[5:]], {}),
            ("f.onnx: the model has no Gemm, MatMul or BatchNormalization of constant weights", [("Softmax", ["x"], "y", {})], {"output": ("y", [None, 4])}),
            ("node 'MatMul_a' (MatMul): it takes 150 rows, no more and no fewer; export the model with a dynamic batch axis", KERAS, {"batch": 150}),
        ]
        for message, nodes, options in cases:
            with self.subTest(message):
                onnx.save(make(nodes, weights(), **options), str(self.folder / "f.onnx"))
                self.refuse(message)

    def test_a_gemm_s_factors_are_taken_into_its_weights(self):
        self.save(make([("Gemm", ["x", "W1", "b1"], "b", {"alpha": 0.5, "beta": 2.0}), *KERAS[2:]], {**weights(), "b1": np.ones(8)}))
        x = iris()[0]
        self.tune("f.onnx", IRIS, "species", "--epochs", "0")
        np.testing.assert_allclose(self.outputs("t.onnx", x), self.outputs("f.onnx", x), rtol=1e-5)

    def test_what_hinders_a_matrix_from_being_a_layer_is_told(self):
        half = make([("Gemm", ["x", "W1", "b1"], "y", {})], weights(), output=("y", ["N", 8]))
        for tensor in half.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
        for value in [*half.graph.input, *half.graph.output]:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
        alone = make([("MatMul", ["x", "W1"], "y", {})], weights(), output=("y", [8]), row=(), batch=4)
        computed = make([("Transpose", ["x"], "z", {}), ("MatMul", ["x", "z"], "y", {})], {}, output=("y", ["N", "N"]))
        for model, message in [(half, "(Gemm): its weights are float16, and what is trained is float32: train the float32 model"),
                               (alone, "(MatMul): it takes float32[4], a single row without a batch axis: export the model with one"),
                               (computed, "(MatMul): its matrix is computed, or may be given by the caller")]:
            with self.subTest(message):
                onnx.save(model, str(self.folder / "f.onnx"))
                self.refuse(message)

    def test_a_row_that_gives_no_finite_number_is_told_by_its_line(self):
        self.save(make(KERAS, weights()))
        rows = self.write_iris("nan.csv", lambda x: np.where((np.arange(len(x)) == 40)[:, None] & (np.arange(4) == 2), np.nan, x))
        self.fail_with(INVALID_INPUT, "tune", "f.onnx", rows, "--target", "species", "-o", "t.onnx", "-q",
                       message=f"nan.csv: line 42, column '{iris()[2][2]}': gives the network a number that is not finite")

    def test_convolutions_in_front_are_refused(self):
        nodes = [("Conv", ["x", "K"], "k", {}), ("Flatten", ["k"], "l", {}), ("MatMul", ["l", "W1"], "a", {}), *KERAS[1:]]
        self.save(make(nodes, {**weights(), "K": np.ones((1, 1, 1, 1))}, row=(1, 2, 2)))
        self.refuse("node 'Conv_k' (Conv): it stands before the first Gemm, MatMul or BatchNormalization of rows")

    def test_classes_that_do_not_fit_are_told(self):
        self.save(make(KERAS, weights()))
        self.write("two.csv", "\n".join(l for l in IRIS.read_text().splitlines() if not l.endswith("setosa")))
        self.fail_with(INVALID_INPUT, "tune", "f.onnx", "two.csv", "--target", "species", "-o", "t.onnx",
                       message="column 'species' holds 2 classes, and the model tells 3 apart: number them from 0 as it does")

    @unittest.skipUnless(importlib.util.find_spec("torch"), "torch is not installed (Debian: python3-torch)")
    def test_a_network_that_torch_exported_goes_on(self):
        import torch
        from torch import nn
        torch.manual_seed(1)
        x, species, _ = iris()
        for ending in [[], [nn.Softmax(1)]]:
            model = nn.Sequential(nn.Flatten(), nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 16, bias=False),
                                  nn.BatchNorm1d(16), nn.LeakyReLU(), nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 3), *ending).eval()
            torch.onnx.export(model, torch.zeros(2, 4), str(self.folder / "f.onnx"), input_names=["x"], output_names=["y"],
                              dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, do_constant_folding=False,
                              training=torch.onnx.TrainingMode.EVAL)
            self.tune("f.onnx", IRIS, "species", "--epochs", "0")
            with torch.no_grad():
                np.testing.assert_allclose(self.outputs("t.onnx", x), model(torch.from_numpy(x)).numpy(), atol=1e-5)
            for options in [[], ["--fold-training"], ["--qat", "int8"]]:
                _, said = self.tune("f.onnx", IRIS, "species", "--recalibrate", "--epochs", "60", "--learning-rate", "0.01", *options)
                right = np.mean([CLASSES[c] == s for c, s in zip(self.outputs("t.onnx", x).argmax(1), species)])
                self.assertIn(f"training   accuracy {right:.4f}", said)
                self.assertGreater(right, 0.95)


if __name__ == "__main__":
    unittest.main()
