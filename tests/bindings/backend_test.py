"""ONNX's own backend test runner over bnrun.backend: it passes what `bnrun test` passes (tests/conformance/floor.json)."""

import json
import pathlib
import unittest

import numpy as np
import onnx.backend.test

import bnrun.backend

for name in ("bool", "object"):  # ONNX 1.12 speaks of names that numpy 1.24 has no more
    if name not in np.__dict__:
        setattr(np, name, {"bool": bool, "object": object}[name])

FLOOR = json.loads((pathlib.Path(__file__).parents[1] / "conformance/floor.json").read_text())
SUITES = {"OnnxBackendNodeModelTest": "node", "OnnxBackendSimpleModelTest": "simple",
          "OnnxBackendPyTorchConvertedModelTest": "pytorch-converted",
          "OnnxBackendPyTorchOperatorModelTest": "pytorch-operator"}
# Their data have other shapes than their models declare, which a session refuses; `bnrun test` has them interpreted.
UNDECLARED = {f"castlike_{types}{form}" for types in ("BFLOAT16_to_FLOAT", "FLOAT_to_BFLOAT16") for form in ("", "_expanded")}


def short(test_id):
    return test_id.rsplit(".", 1)[1].removeprefix("test_").removesuffix("_cpu")


class Backend(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        runner = onnx.backend.test.BackendTest(bnrun.backend, __name__)
        runner.exclude("OnnxBackendRealModelTest")  # those are downloaded
        cls.results = {}
        for class_name, case in runner.test_cases.items():
            if class_name not in SUITES:
                continue
            tests = unittest.defaultTestLoader.loadTestsFromTestCase(case)
            names = {test.id() for test in tests}
            result = unittest.TestResult()
            tests.run(result)
            cls.results[SUITES[class_name]] = (names, result)

    def test_nothing_fails(self):
        for suite, (_, result) in self.results.items():
            for test, trace in [*result.failures, *result.errors]:
                with self.subTest(suite=suite, test=test.id()):
                    self.assertIn(short(test.id()), UNDECLARED, trace.splitlines()[-1])

    def test_what_bnrun_test_passes_is_not_skipped(self):
        self.assertEqual(set(self.results), set(FLOOR))
        for suite, (names, result) in self.results.items():
            passed = names - {test.id() for test, _ in [*result.skipped, *result.failures, *result.errors]}
            self.assertEqual(sorted(set(FLOOR[suite]) - set(map(short, passed)) - UNDECLARED), [], suite)


if __name__ == "__main__":
    unittest.main()
