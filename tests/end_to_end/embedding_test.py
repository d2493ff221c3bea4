"""Installs bnrun, builds and runs the examples against it as a stranger would."""

import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time
import unittest

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
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


PYTHON = "/usr/bin/python3"  # Debian's own, which the module is built for


class EmbeddingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = BUILD / "embedding_test"
        shutil.rmtree(cls.folder, ignore_errors=True)
        cls.folder.mkdir()
        cls.prefix = cls.folder / "prefix"
        call(CMAKE, "--install", BUILD, "--prefix", cls.prefix)
        write_model(cls.folder / "small.onnx")
        cls.library = next(cls.prefix.glob("lib*/**/libbnrun.so")).parent
        module = next(cls.prefix.glob("lib*/**/dist-packages"), None)
        cls.python_environment = {**os.environ, "PYTHONPATH": str(module)}
        cls.has_module = module is not None

    # Rows [0,1] and [2,3] give [3,5] and [11,17] before BatchNormalization, which takes off [2,5].
    SCORES = "1 0\n9 12\n"

    def build_with_cmake(self, *options):
        build = self.folder / "build"
        shutil.rmtree(build, ignore_errors=True)
        call(CMAKE, "-S", EXAMPLES / "cpp", "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}", *options)
        call(CMAKE, "--build", build)
        return call(build / "score", self.folder / "small.onnx", 2)

    def flags(self, *options):
        return call("pkg-config", *options, "bnrun",
                    env={**os.environ, "PKG_CONFIG_PATH": str(self.library / "pkgconfig")}).split()

    def test_an_application_finds_builds_and_scores(self):
        self.assertEqual(self.build_with_cmake(), "BatchNormalization 'bn': folded into Gemm 'fc'\n" + self.SCORES)

    def test_an_application_links_the_archive(self):
        output = self.build_with_cmake("-DSCORE_STATIC=ON")
        self.assertEqual(output, "BatchNormalization 'bn': folded into Gemm 'fc'\n" + self.SCORES)
        self.assertNotIn("libbnrun", call("ldd", self.folder / "build/score"))

    def test_the_installed_program_runs_from_any_place(self):
        moved = self.folder / "moved"
        shutil.copytree(self.prefix, moved, symlinks=True)
        self.assertIn("0.1", call(moved / "bin" / "bnrun", "--version", cwd="/"))

    @unittest.skipUnless(shutil.which("pkg-config"), "needs pkg-config")
    def test_pkg_config_builds_c_and_cpp(self):
        for compiler, standard, source, first in [("c++", "c++20", "cpp/score.cpp", "BatchNormalization 'bn': folded into Gemm 'fc'"),
                                                  ("cc", "c99", "c/score.c", "folded 1 of 1")]:
            program = self.folder / f"score_{compiler}"
            call(compiler, f"-std={standard}", "-Wall", "-Wextra", "-Werror", EXAMPLES / source, "-o", program,
                 *self.flags("--cflags", "--libs"))
            output = call(program, self.folder / "small.onnx", 2, env={**os.environ, "LD_LIBRARY_PATH": str(self.library)})
            self.assertEqual(output, f"{first}\n{self.SCORES}")

    def test_the_page_on_c_shows_the_example(self):
        page = (EXAMPLES.parent / "docs/c.md").read_text()
        self.assertIn(f"```c\n{(EXAMPLES / 'c/score.c').read_text()}```", page)

    def run_python(self, script, *arguments):
        if not self.has_module:
            self.skipTest("the Python module is not built: it needs pybind11-dev and python3-dev")
        return call(PYTHON, "-B", EXAMPLES / "python" / script, *arguments, env=self.python_environment)

    def test_a_script_of_onnxruntime_in_ten_lines(self):
        self.assertEqual(self.run_python("replace_onnxruntime.py", self.folder / "small.onnx"), "[[ 1.  0.]\n [ 9. 12.]]\n")

    def test_training_folding_and_verifying(self):
        output = self.run_python("train_and_fold.py")
        self.assertRegex(output, r"right on (9\d|100)% of the rows")
        self.assertIn("folded 3 of 3", output)
        self.assertIn("the models agree (500 rows)", output)

    def test_a_web_service_in_twenty_lines(self):
        if not self.has_module:
            self.skipTest("the Python module is not built: it needs pybind11-dev and python3-dev")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        service = subprocess.Popen([PYTHON, "-B", EXAMPLES / "python/serve.py", self.folder / "small.onnx", str(port)],
                                   env=self.python_environment, stderr=subprocess.DEVNULL)
        try:
            def post(rows):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                connection.request("POST", "/", json.dumps({"rows": rows}))
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())

            for _ in range(300):
                try:
                    status, answer = post([[0, 1], [2, 3]])
                    break
                except ConnectionRefusedError:
                    time.sleep(0.1)
            self.assertEqual((status, answer), (200, {"outputs": [[1, 0], [9, 12]]}))
            status, answer = post([[0, 1, 2]])
            self.assertEqual(status, 400)
            self.assertIn("must be float32[N,2]", answer["error"])
        finally:
            service.kill()
            service.wait()

    def test_manual_pages_and_completions_are_installed(self):
        share = self.prefix / "share"
        for program in ("bnrun", "bnfold", "bntrain"):
            page = (share / f"man/man1/{program}.1").read_text()
            self.assertIn(f".TH {program.upper()} 1", page)
            help_text = call(self.prefix / "bin" / program, "--help")
            for command in re.findall(r"^  (\w+) ", help_text.split("Subcommands:")[1].split("Example:")[0], re.M):
                self.assertIn(f".SS {program} {command}\n", page)
            self.assertIn(f"_{program}()", (share / "bash-completion/completions" / program).read_text())
            self.assertTrue((share / f"zsh/vendor-completions/_{program}").read_text().startswith(f"#compdef {program}\n"))
            self.assertIn(f"complete -c {program}", (share / f"fish/vendor_completions.d/{program}.fish").read_text())

    def complete(self, *words):
        """What bash offers for the last of these words."""
        script = self.prefix / "share/bash-completion/completions" / words[0]
        line = f"source {script}; COMP_WORDS=({' '.join(words)} {'' if words[-1] else chr(34) * 2}); COMP_CWORD={len(words) - 1}; " \
               f"_{words[0]}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return call("bash", "-c", line, cwd=self.folder).split()

    def test_bash_completes_commands_options_and_choices(self):
        self.assertIn("inspect", self.complete("bnrun", "insp"))
        self.assertIn("--json", self.complete("bnrun", "inspect", "--js"))
        self.assertNotIn("--json", self.complete("bnrun", "operators", "--js"))
        self.assertEqual(sorted(self.complete("bnrun", "run", "--kernels", "")), ["auto", "blas", "fast", "packed"])
        self.assertEqual(sorted(self.complete("bnrun", "bench", "--fold", "")), ["off", "on"])
        self.assertIn("norm-affine", self.complete("bnfold", "fold", "--without", "norm"))
        self.assertIn("adamw", self.complete("bntrain", "fit", "--optimizer", "ad"))
        self.assertIn("small.onnx", self.complete("bnrun", "inspect", "sm"))

    def test_other_shells_can_read_their_completions(self):
        share = self.prefix / "share"
        for shell, folder in [("zsh", "zsh/vendor-completions"), ("fish", "fish/vendor_completions.d")]:
            if shutil.which(shell):
                for file in (share / folder).iterdir():
                    call(shell, "-n", file)


if __name__ == "__main__":
    unittest.main()
