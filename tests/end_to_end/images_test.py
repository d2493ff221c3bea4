"""Networks over images, from files of images to folded models, as a user trains them."""

import gzip
import json
import os
import struct
import subprocess
import sys
import unittest

import numpy as np
import onnx

from bntrain_test import BntrainTest, ROOT
from programs import INVALID_INPUT, USAGE, ProgramTest

LENET = ("conv(6,5,same) bn relu maxpool(2) conv(16,3,same) bn relu maxpool(2) flatten "
         "dense(64) bn relu dense bn softmax")


def write_idx(path, array):
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes())


def digits():
    with gzip.open(ROOT / "models/data/digits.csv.gz", "rt") as file:
        rows = np.loadtxt(file, delimiter=",", skiprows=1)
    return rows[:, :64].reshape(-1, 8, 8).astype(np.uint8), rows[:, 64].astype(np.int64)


def shapes(rows):
    """Squares, frames, diagonals and crosses of 28x28, somewhere, under noise."""
    draw = np.random.default_rng(1)
    labels = np.arange(rows) % 4
    images = np.zeros((rows, 28, 28))
    for image, label in zip(images, labels):
        top, left = draw.integers(4, 16, 2)
        side = 8 + draw.integers(0, 5)
        part = image[top:top + side, left:left + side]
        side = len(part)
        if label < 2:
            part[:] = 1
        if label == 1:
            part[2:-2, 2:-2] = 0
        if label == 2:
            part[np.arange(side), np.arange(side)] = 1
        if label == 3:
            part[side // 2] = part[:, side // 2] = 1
    return np.clip(images * 200 + draw.normal(20, 30, images.shape), 0, 255).astype(np.uint8), labels


def keras_layer(kind, **config):
    return {"class_name": kind, "config": config}


KERAS = {"class_name": "Sequential", "config": {"layers": [
    keras_layer("InputLayer", batch_shape=[None, 28, 28, 1], dtype="float32"),
    keras_layer("Conv2D", filters=6, kernel_size=[5, 5], strides=[2, 2], padding="same", activation="linear", dilation_rate=[1, 1],
                groups=1, data_format="channels_last", use_bias=False),
    keras_layer("BatchNormalization", axis=[3], momentum=0.9),
    keras_layer("Activation", activation="relu"),
    keras_layer("MaxPooling2D", pool_size=[2, 2], strides=None, padding="valid", data_format="channels_last"),
    keras_layer("Conv2D", filters=16, kernel_size=[3, 3], padding="valid", activation="relu"),
    keras_layer("BatchNormalization", axis=-1, momentum=0.9),
    keras_layer("GlobalAveragePooling2D", keepdims=False, data_format="channels_last"),
    keras_layer("Dense", units=4, activation="softmax")]}}


class Images(BntrainTest):
    def fold(self):
        """The operators of the model once it is folded."""
        other = ProgramTest()
        other.program, other.folder = "bnfold", self.folder
        other.succeed("-q", "m.onnx", "-o", "f.onnx")
        model = onnx.load(str(self.folder / "f.onnx"))
        onnx.checker.check_model(model, full_check=True)
        return {node.op_type for node in model.graph.node}

    def train(self, images, labels, *options):
        result = self.run_program("fit", images, "--labels", labels, "-o", "m.onnx", *options)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        onnx.checker.check_model(onnx.load(str(self.folder / "m.onnx")), full_check=True)
        return result.stdout.decode()

    def accuracy(self, output, what):
        return float(output.split(f"{what} accuracy ")[1].split()[0])

    def expect_alike(self, images, labels, said):
        """The model as it was trained and as folded: the accuracy said, and in ONNX Runtime the same numbers as here."""
        for model in ["m.onnx", "f.onnx"]:
            self.assertIn(f"accuracy {said:.4f}: ", self.succeed("eval", model, images, "--labels", labels).decode())
        if not os.environ.get("BNRUN_ORT_RUN"):
            return
        x = np.load(self.folder / images) if str(images).endswith(".npy") else shapes(200)[0]
        np.save(self.folder / "x.npy", x[:200].astype(np.float32))
        other = ProgramTest()
        other.program, other.folder = "bnrun", self.folder
        for model in ["m.onnx", "f.onnx"]:
            subprocess.run([os.environ["BNRUN_ORT_RUN"], model, "input=x.npy", "-o", "ort.npz"], cwd=self.folder, check=True)
            other.succeed(model, "-i", "x.npy", "-o", "ours.npy")
            with np.load(self.folder / "ort.npz") as theirs:
                np.testing.assert_allclose(np.load(self.folder / "ours.npy"), theirs["probabilities"], atol=1e-5)

    def test_lenet_on_small_digits(self):
        images, labels = digits()
        np.save(self.folder / "x8.npy", images)
        np.save(self.folder / "y8.npy", labels)
        for option in [[], ["--fold-training"]]:
            output = self.train("x8.npy", "y8.npy", "--layers", LENET, "--epochs", "8", "--holdout", "360", "--validation", "0", *option)
            self.assertGreater(self.accuracy(output, "held-out  "), 0.96)
            trained = {node.op_type for node in onnx.load(str(self.folder / "m.onnx")).graph.node}
            self.assertEqual("BatchNormalization" in trained, not option)
            self.assertNotIn("BatchNormalization", self.fold())
        output = self.train("x8.npy", "y8.npy", "--layers", LENET, "--epochs", "4", "--validation", "0")
        self.fold()
        self.expect_alike("x8.npy", "y8.npy", self.accuracy(output, "training  "))

    def test_keras_convolutions_on_larger_images(self):
        images, labels = shapes(800)
        write_idx(self.folder / "x28.idx", images)
        write_idx(self.folder / "y28.idx", labels)
        self.write("net.json", json.dumps(KERAS))
        output = self.train("x28.idx", "y28.idx", "--model", "net.json", "--epochs", "6", "--validation", "0", "--learning-rate", "0.01")
        said = self.accuracy(output, "training  ")
        self.assertGreater(said, 0.95)
        self.assertNotIn("BatchNormalization", self.fold())
        self.assertEqual([d.dim_value for d in onnx.load(str(self.folder / "m.onnx")).graph.input[0].type.tensor_type.shape.dim[1:]],
                         [28, 28])
        self.expect_alike("x28.idx", "y28.idx", said)

    def test_sides_that_contradict_each_other_are_refused(self):
        images, labels = shapes(20)
        np.save(self.folder / "y.npy", labels)
        self.write("net.json", json.dumps(KERAS))
        layers = ["--layers", "conv(4,3) gap dense"]
        for name, shape in [("x.npy", (28, 28)), ("first.npy", (1, 28, 28)), ("last.npy", (28, 28, 1)), ("flat.npy", (784,)), ("wide.npy", (14, 56))]:
            np.save(self.folder / name, images.reshape(-1, *shape))
        def arguments(name, *options):
            return ["fit", name, "--labels", "y.npy", "-o", "m.onnx", "--epochs", "1", "-q", *options]
        for name in ("x.npy", "first.npy", "last.npy", "flat.npy"):
            self.succeed(*arguments(name, "--image", "28x28", *layers))
            self.succeed(*arguments(name, "--image", "28x28", "--model", "net.json"))
        self.fail_with(USAGE, *arguments("x.npy", "--image", "14x56", *layers),
                       message="--image 14x56: the rows of the data are images of 28x28 already: leave --image out")
        self.fail_with(USAGE, *arguments("flat.npy", "--image", "14x56", "--model", "net.json"),
                       message="--image 14x56: the input of net.json is 28x28x1: leave --image out")
        self.fail_with(INVALID_INPUT, *arguments("wide.npy", "--model", "net.json"),
                       message="net.json: its input is 28x28x1, a row of the data 14x56x1")

    def test_an_array_has_no_columns_to_name(self):
        images, labels = digits()
        np.save(self.folder / "x.npy", images[:50])
        np.save(self.folder / "y.npy", labels[:50])
        for option in ("--features", "--drop", "--categories"):
            self.fail_with(USAGE, "fit", "x.npy", "--labels", "y.npy", "-o", "m.onnx", option, "a",
                           message="--features, --drop and --categories name columns of tables; an array with --labels has none")

    def test_a_row_of_a_table_may_be_an_image(self):
        table = ROOT / "models/data/digits.csv.gz"
        layers = ["--layers", "conv(4,3) bn relu gap dense", "--epochs", "1", "-q"]
        self.fit(table, "digit", "--image", "8x8", *layers)
        self.assertIn(b"accuracy", self.succeed("eval", "m.onnx", table, "--target", "digit"))
        self.fit(table, "digit", "--image", "4x4x4", *layers)
        arguments = ["fit", table, "--target", "digit", "-o", "m.onnx", *layers]
        self.fail_with(USAGE, *arguments, message="a row of the data is 64 numbers: --image HEIGHTxWIDTH says how they lie")
        for image, message in [("8x9", "--image 8x9 are 72 numbers, a row of the data has 64"), ("8", "expected HEIGHTxWIDTH"),
                               ("8x8x", "expected HEIGHTxWIDTH"), ("0x64", "expected HEIGHTxWIDTH"), ("8x8x1x1", "expected HEIGHT")]:
            self.fail_with(USAGE, *arguments, "--image", image, message=message)

    def test_arrays_that_do_not_fit_are_refused(self):
        images, labels = digits()
        np.save(self.folder / "x.npy", images[:50])
        np.save(self.folder / "y.npy", labels[:50])
        np.save(self.folder / "few.npy", labels[:49])
        np.save(self.folder / "two.npy", np.zeros((50, 2)))
        np.save(self.folder / "words.npy", np.array(["a", "b"] * 25))
        np.savez(self.folder / "both.npz", x=images, y=labels)
        fit = ["fit", "x.npy", "-o", "m.onnx", "-q", "--epochs", "1"]
        for labelled, message in [("few.npy", "few.npy: 49 labels for the 50 rows of x.npy"), ("two.npy", "expected one label a row"),
                                  ("both.npz", "holds 2 arrays"), (ROOT / "models/data/iris.csv", "has 5 columns, expected one")]:
            self.fail_with(INVALID_INPUT, *fit, "--labels", labelled, message=message)
        holes = images[:50].astype(np.float32)
        holes[7, 1, 2] = np.nan
        np.save(self.folder / "holes.npy", holes)
        self.fail_with(INVALID_INPUT, "fit", "holes.npy", *fit[2:], "--labels", "y.npy", message="holes.npy: row 8, number 11: nan is not finite")
        self.fail_with(USAGE, *fit, "--labels", "y.npy", "--layers", "conv(0,3) dense", message="'conv(0,3)': 0 filters, expected a whole number")
        self.fail_with(INVALID_INPUT, *fit, "--labels", "y.npy", "--layers", "conv(4,9) flatten dense",
                       message="a convolution of 9x9 on an image of 8x8, which is smaller: take a smaller one, or padding that keeps")
        self.fail_with(INVALID_INPUT, "fit", "words.npy", *fit[2:], "--labels", "y.npy", message="holds words, expected numbers")
        self.fail_with(INVALID_INPUT, "fit", ROOT / "models/data/iris.csv", *fit[2:], "--labels", "y.npy", message="is a table")
        self.fail_with(USAGE, *fit, message="--target is required, or --labels")
        self.fail_with(USAGE, *fit, "--labels", "y.npy", "--target", "x", message="excludes")
        self.fail_with(USAGE, *fit, "--labels", "y.npy", "--holdout", "5", "--holdout-out", "h.csv", message="are for tables")
        self.fail_with(INVALID_INPUT, *fit, "--labels", "y.npy", "--layers", "dense", message="a flatten layer in front makes rows")
        self.fail_with(INVALID_INPUT, *fit, "--labels", "y.npy", "--qat", "int8", "--layers", "conv(2,3) bn gap dense",
                       message="conv2d_1: a convolution cannot be trained in int8")
        self.succeed(*fit, "--labels", "words.npy")
        self.assertIn(b"of 50 rows", self.succeed("eval", "m.onnx", "x.npy", "--labels", "words.npy"))
        self.succeed(*fit, "--labels", "y.npy")
        self.fail_with(INVALID_INPUT, "eval", "m.onnx", "x.npy", "--labels", "few.npy", message="49 labels for the 50 rows")
        self.fail_with(USAGE, "eval", "m.onnx", "x.npy", message="--target is required, or --labels")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
