"""docs/python.md tells the truth: its blocks run, from top to bottom, and print what their comments show; the table of errors is
that of the module."""

import contextlib
import io
import os
import pathlib
import re
import tempfile
import unittest

import numpy as np

import bnrun

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "python.md").read_text()


def digits():
    """A classifier with the inputs and outputs of the page's."""
    X = np.random.default_rng(1).standard_normal((100, 64))
    return bnrun.MLPClassifier((8,), max_iter=1, random_state=0).fit(X, np.arange(100) % 10).to_onnx()


class Docs(unittest.TestCase):
    def test_the_blocks_run(self):
        blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
        self.assertGreater(len(blocks), 5)
        names, printed, start = {}, io.StringIO(), os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                pathlib.Path("digits.onnx").write_bytes(digits())
                with contextlib.redirect_stdout(printed):
                    for block in blocks:
                        exec(compile(block, "docs/python.md", "exec"), names)
            finally:
                os.chdir(start)
        for shown in re.findall(r"print\(.*\) +# (.*)", PAGE):
            self.assertIn(shown, printed.getvalue())

    def test_the_table_of_errors_is_current(self):
        rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| `(\w+)` \|", PAGE, re.M)
        classes = {name for name in bnrun.__all__ if isinstance(getattr(bnrun, name), type)
                   and issubclass(getattr(bnrun, name), bnrun.Error)}
        self.assertEqual({name for name, _, _ in rows}, classes - {"Error"})
        for name, also, code in rows:
            self.assertEqual(getattr(bnrun, name).code, code)
            self.assertIn(also, ["", *(base.__name__ for base in getattr(bnrun, name).__mro__)])


if __name__ == "__main__":
    unittest.main()
