"""Scripts written for onnxruntime-python run with the one import changed and print the same: what ONNX Runtime printed, or,
where it is installed, prints."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from onnx import TensorProto, helper, numpy_helper
import numpy as np

from models import model, zipped_classifier

SCRIPTS = pathlib.Path(__file__).parent / "scripts"
FLOAT = TensorProto.FLOAT


def two_outputs():
    nodes = [helper.make_node("Add", ["x", "x"], ["doubled"]), helper.make_node("ReduceSum", ["x", "axes"], ["sums"], keepdims=0)]
    return model(nodes, {"x": (FLOAT, ["batch", 4])}, {"doubled": (FLOAT, ["batch", 4]), "sums": (FLOAT, ["batch"])},
                 [numpy_helper.from_array(np.array([1]), "axes")], author="somebody")


def three_inputs():
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Gather", ["sum", "pick"], ["picked"])]
    return model(nodes, {"a": (FLOAT, ["N", 2]), "b": (FLOAT, ["N", 1]), "pick": (TensorProto.INT64, ["K"])},
                 {"picked": (FLOAT, ["K", 2])})


EXPECTED = {
    "named_outputs": (two_outputs, """\
['doubled', 'sums'] [('x', ['batch', 4], 'tensor(float)')]
float32 [[0.0, 2.0, 4.0, 6.0], [8.0, 10.0, 12.0, 14.0]]
float32 [6.0, 22.0]
"""),
    "io_binding": (two_outputs, """\
[[[0.0, 2.0, 4.0, 6.0], [8.0, 10.0, 12.0, 14.0]], [6.0, 22.0]]
[[0.0, 2.0, 4.0, 6.0], [8.0, 10.0, 12.0, 14.0]] [6.0, 22.0] [2]
[[0.0, 20.0, 40.0, 60.0], [80.0, 100.0, 120.0, 140.0]] [60.0, 220.0] [2]
[[0.0, 2.0, 4.0, 6.0], [8.0, 10.0, 12.0, 14.0]] tensor(float) cpu
"""),
    "from_bytes": (two_outputs, """\
tests graph {'author': 'somebody'} 0
['CPUExecutionProvider'] CPU
2 [(3, 4), (3,)]
"""),
    "several_inputs": (three_inputs, """\
a tensor(float) ['N', 2]
b tensor(float) ['N', 1]
pick tensor(int64) ['K']
[[23.0, 24.0], [11.0, 12.0]]
[]
refused: True
"""),
    "string_labels": (lambda: zipped_classifier(["cat", "dog", "owl"]), """\
['tensor(string)', 'seq(map(string,tensor(float)))']
['cat', 'dog', 'owl']
cat 0.7856 ['cat', 'dog', 'owl']
dog 0.9669 ['cat', 'dog', 'owl']
owl 0.9976 ['cat', 'dog', 'owl']
"""),
}


class Scripts(unittest.TestCase):
    def run_script(self, text, made):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.onnx"
            path.write_bytes(made.SerializeToString())
            done = subprocess.run([sys.executable, "-B", "-c", text, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, env=os.environ, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_each_script_is_listed(self):
        self.assertEqual(sorted(path.stem for path in SCRIPTS.glob("*.py")), sorted(EXPECTED))

    def test_with_the_import_changed(self):
        for name, (make, expected) in EXPECTED.items():
            text = (SCRIPTS / f"{name}.py").read_text()
            changed, count = re.subn(r"^import onnxruntime( as \w+)?$",
                                     lambda line: "import bnrun" + (line.group(1) or " as onnxruntime"), text, flags=re.M)
            self.assertEqual(count, 1, name)
            with self.subTest(script=name):
                self.assertEqual(self.run_script(changed, make()), expected)

    @unittest.skipUnless(importlib.util.find_spec("onnxruntime"), "onnxruntime is not installed")
    def test_onnxruntime_prints_what_is_expected_here(self):
        for name, (make, expected) in EXPECTED.items():
            with self.subTest(script=name):
                self.assertEqual(self.run_script((SCRIPTS / f"{name}.py").read_text(), make()), expected)


if __name__ == "__main__":
    unittest.main()
