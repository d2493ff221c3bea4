"""README.md and --help tell the truth: every `$ command` in a console block and every example in --help runs as it
stands, in one folder, in order; output shown below a command is part of what it prints; the operator table is current."""

import gzip
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from programs import PROGRAMS

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def console_steps():
    """(command, lines of output shown below it)"""
    steps = []
    for block in re.findall(r"```console\n(.*?)```", README, re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
    return steps


class ReadmeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        (cls.folder / "models").symlink_to(ROOT / "models")
        cls.environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def shell(self, command):
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stderr}")
        return done.stdout + done.stderr

    def test_1_console_blocks_run_and_print_what_they_show(self):
        steps = console_steps()
        self.assertGreater(len(steps), 5)
        for command, shown in steps:
            printed = [line.rstrip() for line in self.shell(command).splitlines()]
            for line in shown:
                self.assertIn(line.rstrip(), printed, command)

    def test_2_help_examples_run(self):
        # The files that examples speak of: a model, rows for it, images as .npy and IDX.
        self.shell("cp digits.onnx model.onnx")
        self.shell("/usr/bin/python3 -c \"import numpy; numpy.save('images.npy', numpy.ones((3, 64), 'float32'))\"")
        with gzip.open(self.folder / "train-images-idx3-ubyte.gz", "wb") as file:
            file.write(bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 8]) + bytes(range(128)))
        ran = 0
        for program in ("bntrain", "bnfold", "bnrun"):
            for command in [[program], *([program, subcommand] for subcommand in self.subcommands(program))]:
                text = self.shell(" ".join(command) + " --help")
                self.assertIn("Example:", text, f"{command} --help has no example")
                examples = text.split("Example:")[1].replace("\\\n", " ")
                for line in filter(None, map(str.strip, examples.splitlines())):
                    line = re.sub(r" \| jq .*", "", line)  # shows what the output is for; jq is not ours to run
                    line = line.replace("images=train", "input=train")  # the model here calls its input so
                    self.shell(line)
                    ran += 1
        self.assertGreater(ran, 18)

    @staticmethod
    def subcommands(program):
        text = subprocess.run([PROGRAMS / program, "--help"], text=True, stdout=subprocess.PIPE, check=True).stdout
        return re.findall(r"^  (\w+) ", text.split("Subcommands:")[1].split("Example:")[0], re.M)

    def test_3_operator_table_is_current(self):
        shown = re.search(r"<!-- operators -->\n(.*?)<!-- /operators -->", README, re.S).group(1)
        current = subprocess.run([PROGRAMS / "bnrun", "operators", "--markdown"], text=True, stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(shown.strip(), current.strip(), "run tools/update-readme")


if __name__ == "__main__":
    unittest.main()
