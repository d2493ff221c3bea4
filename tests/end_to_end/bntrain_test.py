"""bntrain as a user calls it: where the model goes. What it learns is tested in tests/train."""

import os
import unittest

import onnx

from programs import IO, USAGE, ProgramTest


class Output(ProgramTest):
    program = "bntrain"

    def setUp(self):
        super().setUp()
        rows = "\n".join(f"{i % 5},{i % 3},{'ab'[i % 2]}" for i in range(40))
        self.write("table.csv", f"p,q,class\n{rows}\n")

    def fit(self, output):
        return ["fit", "table.csv", "--target", "class", "--epochs", "1", "-o", output]

    def test_file(self):
        self.assertIn(b"training   accuracy", self.succeed(*self.fit("m.onnx")))
        onnx.checker.check_model(onnx.load(str(self.folder / "m.onnx")))

    def test_standard_output_is_the_model_and_nothing_else(self):
        result = self.run_program(*self.fit("-"))
        self.assertEqual(result.returncode, 0)
        onnx.checker.check_model(onnx.load_from_string(result.stdout))
        self.assertIn(b"training   accuracy", result.stderr)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["table.csv"])
        terminal, program_side = os.openpty()
        try:
            self.fail_with(USAGE, *self.fit("-"), stdout=program_side, message="terminal")
        finally:
            os.close(terminal)
            os.close(program_side)

    def test_targets_are_checked_before_the_work(self):
        self.fail_with(USAGE, *self.fit("table.csv"), message="is the input")
        self.fail_with(IO, *self.fit("missing/m.onnx"), message="missing/m.onnx")
        self.fail_with(IO, *self.fit("m.onnx"), "--history", "missing/h.csv", message="missing/h.csv")
        missing = ["fit", "no.csv", "--target", "class", "-o", "missing/m.onnx"]
        self.fail_with(IO, *missing, message="missing/m.onnx")


if __name__ == "__main__":
    unittest.main()
