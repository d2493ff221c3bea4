"""Installs bnrun, builds the application in embedding/ against it as a stranger would, and runs it."""

import os
import pathlib
import shutil
import subprocess
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
CMAKE = os.environ["BNRUN_CMAKE"]
BUILD = pathlib.Path(os.environ["BNRUN_BUILD"])


def write_model(path):
    """x[N,2] -> Gemm -> BatchNormalization -> Relu -> y[N,2], all numbers small enough to follow by hand."""
    arrays = {"W": [[1, 2], [3, 4]], "b": [0, 1], "scale": [2, 4], "B": [1, 0], "mean": [3, 5], "var": [4, 16]}
    nodes = [
        helper.make_node("Gemm", ["x", "W", "b"], ["h"], name="fc"),
        helper.make_node("BatchNormalization", ["h", "scale", "B", "mean", "var"], ["n"], name="bn", epsilon=0.0),
        helper.make_node("Relu", ["n"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(np.array(values, np.float32), name) for name, values in arrays.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), path)


def call(*command, **options):
    result = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command} exited with {result.returncode}:\n{result.stdout.decode()}{result.stderr.decode()}")
    return result.stdout.decode()


class EmbeddingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = BUILD / "embedding_test"
        shutil.rmtree(cls.folder, ignore_errors=True)
        cls.folder.mkdir()
        cls.prefix = cls.folder / "prefix"
        call(CMAKE, "--install", BUILD, "--prefix", cls.prefix)
        write_model(cls.folder / "small.onnx")

    def test_an_application_finds_builds_and_scores(self):
        build = self.folder / "build"
        call(CMAKE, "-S", HERE / "embedding", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        call(CMAKE, "--build", build)
        output = call(build / "score", self.folder / "small.onnx", 2)
        # Rows [0,1] and [2,3] give [3,5] and [11,17] before BatchNormalization, which takes off [2,5].
        self.assertEqual(output, "BatchNormalization 'bn': folded into Gemm 'fc'\n1 0\n9 12\n")

    def test_the_installed_program_runs_from_any_place(self):
        moved = self.folder / "moved"
        shutil.copytree(self.prefix, moved, symlinks=True)
        self.assertIn("0.1", call(moved / "bin" / "bnrun", "--version", cwd="/"))

    @unittest.skipUnless(shutil.which("pkg-config"), "needs pkg-config")
    def test_pkg_config_points_into_the_prefix(self):
        files = [*self.prefix.glob("lib*/**/bnrun.pc")]
        self.assertEqual(len(files), 1)
        flags = call("pkg-config", "--cflags", "--libs", "bnrun", env={**os.environ, "PKG_CONFIG_PATH": str(files[0].parent)})
        paths = {flag[:2]: pathlib.Path(flag[2:]).resolve() for flag in flags.split() if flag[:2] in ("-I", "-L")}
        self.assertTrue((paths["-I"] / "bnrun" / "session.h").exists(), flags)
        self.assertTrue((paths["-L"] / "libbnrun.so").exists(), flags)


if __name__ == "__main__":
    unittest.main()
