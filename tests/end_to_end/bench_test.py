"""`bnrun bench` and `bnrun profile` as a user calls them: what they print and write. How fast anything is decides nothing."""

import csv
import json
import unittest

from programs import INVALID_MODEL, IO, MODELS, UNSUPPORTED, USAGE, ProgramTest

MLP = MODELS / "mlp.onnx"
PICTURE = MODELS / "picture.onnx"
QUICK = ("--seconds", "0.01", "--no-limits")


class Bench(ProgramTest):
    program = "bnrun"

    def test_sweeps_over_models_threads_batches_and_ways_of_folding(self):
        out = self.succeed("bench", MLP, MODELS / "plain.onnx", "-b", "1,3", "-t", "1,2", "--fold", "on,off", "-o", "json", *QUICK)
        result = json.loads(out)
        cells = [(cell["model"], cell["threads"], cell["rows"], cell["fold"]) for cell in result["cells"]]
        self.assertEqual(cells, [(str(model), threads, rows, fold) for model in (MLP, MODELS / "plain.onnx") for threads in (1, 2)
                                 for rows in (1, 3) for fold in (True, False)])
        self.assertEqual(result["limits"], [])

    def test_a_model_of_fixed_batch_is_timed_once_with_its_own_rows(self):
        result = self.run_program("bench", MODELS / "fixed.onnx", "-b", "1,64", "-o", "json", *QUICK)
        cell, = json.loads(result.stdout)["cells"]
        self.assertEqual(cell["rows"], 2)
        self.assertEqual(result.stderr.decode(), f"{MODELS / 'fixed.onnx'}: a run of it is always 2 rows, whatever -b says\n")
        result = self.run_program("profile", MODELS / "fixed.onnx", "-b", "64", "--no-limits")
        self.assertIn(b"One run of 2 rows", result.stdout)
        self.assertIn(b"always 2 rows", result.stderr)

    def test_sizes_that_the_model_leaves_open_are_given(self):
        sizes = ("--size", "height=3", "--size", "width=5")
        cells = json.loads(self.succeed("bench", MODELS / "open.onnx", "-b", "2,4", *sizes, "-o", "json", *QUICK))["cells"]
        self.assertEqual([cell["rows"] for cell in cells], [2, 4])
        self.assertIn(str(2 * 4 * (2 * 3 * 5)), self.succeed("profile", MODELS / "open.onnx", "-b", "2", *sizes, "--no-limits").decode())
        for command in ("bench", "profile"):
            self.fail_with(USAGE, command, MODELS / "open.onnx", "--no-limits", message="say --size height=N")

    def test_tells_times_rates_and_what_dominates(self):
        cell, = json.loads(self.succeed("bench", MLP, "-b", "7", "-o", "json", *QUICK))["cells"]
        times = cell["microseconds"]
        self.assertTrue(0 < times["p50"] <= times["p90"] <= times["p99"], times)
        self.assertAlmostEqual(cell["rows_per_second"] * times["p50"], 7e6, delta=1)
        self.assertAlmostEqual(cell["gflops"] * times["p50"], 1e-3 * 2 * 7 * (8 * 16 + 16 * 3), delta=1e-6)
        self.assertGreater(cell["load_milliseconds"], 0)
        self.assertGreater(cell["peak_bytes"], 1 << 20)
        self.assertIsNone(cell["share_of_limit"])
        self.assertRegex(cell["dominates"], r"takes \d+ % of the time|between the steps goes \d+ %")

    def test_measures_the_limits_in_the_same_run(self):
        result = json.loads(self.succeed("bench", MLP, "-b", "64", "-t", "1,2", "-o", "json", "--seconds", "0.01"))
        self.assertEqual([limit["threads"] for limit in result["limits"]], [1, 2])
        for limit, cell in zip(result["limits"], result["cells"]):
            self.assertGreater(limit["bytes_per_second"], 0)
            if limit["flops_per_second"] > 0:
                self.assertEqual(cell["limit"], "FMA")
                self.assertAlmostEqual(cell["share_of_limit"], cell["gflops"] * 1e9 / limit["flops_per_second"])

    def test_prints_a_table_of_markdown(self):
        lines = self.succeed("bench", MLP, *QUICK).decode().splitlines()
        table = [line for line in lines if line.startswith("|")]
        self.assertEqual(len(table), 2 + 3)
        self.assertEqual(len({line.count("|") for line in table}), 1)
        self.assertEqual([cell.strip() for cell in table[2].split("|")[1:4]], ["mlp.onnx", "on", "1"])
        self.assertEqual(len([line for line in lines if line.startswith("mlp.onnx, ")]), 3)

    def test_prints_csv(self):
        rows = list(csv.DictReader(self.succeed("bench", MLP, "-b", "1,2", "-o", "csv", *QUICK).decode().splitlines()))
        self.assertEqual([row["rows"] for row in rows], ["1", "2"])
        self.assertEqual(rows[0]["model"], str(MLP))
        self.assertGreater(float(rows[0]["p50_us"]), 0)
        self.assertEqual(rows[0]["share_of_limit"], "")

    def test_names_the_kernels_of_blas_where_it_is_used(self):
        cell, = json.loads(self.succeed("bench", MLP, "-b", "2", "--kernels", "blas", "-o", "json", *QUICK))["cells"]
        self.assertTrue(cell["blas_kernels"])
        self.assertIn(f"OpenBLAS runs its {cell['blas_kernels']} kernels here",
                      self.succeed("bench", MLP, "-b", "2", "--kernels", "blas", *QUICK).decode())
        cell, = json.loads(self.succeed("bench", MLP, "-b", "2", "-o", "json", *QUICK))["cells"]
        self.assertIsNone(cell["blas_kernels"])

    def test_names_no_kernels_of_blas_where_convolutions_are_the_engines_own(self):
        for kernels in ("auto", "fast"):
            cell, = json.loads(self.succeed("bench", PICTURE, "-b", "1", "--kernels", kernels, "-o", "json", *QUICK))["cells"]
            self.assertIsNone(cell["blas_kernels"])

    def test_writes_files_by_their_ending_and_draws_no_bar_into_a_pipe(self):
        for ending, begin in (("md", "| model"), ("csv", "model,fold"), ("json", "{")):
            result = self.run_program("bench", MLP, "-b", "1", "-o", f"out.{ending}", *QUICK)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b"", b""))
            self.assertTrue((self.folder / f"out.{ending}").read_text().startswith(begin))

    def test_refuses_what_makes_no_sense(self):
        self.fail_with(USAGE, "bench", MLP, "-b", "0", message="'0' is not a whole number above 0")
        self.fail_with(USAGE, "bench", MLP, "-t", "x", message="'x' is not a whole number above 0")
        self.fail_with(USAGE, "bench", MLP, "--fold", "maybe", message="maybe")
        self.fail_with(USAGE, "bench", MLP, "-o", "out.txt", message="-o is md, csv, json or a file")
        self.fail_with(USAGE, "bench", MLP, "--seconds", "0", message="'0' is not a positive number")
        self.fail_with(IO, "bench", "missing.onnx", *QUICK, message="missing.onnx")
        self.fail_with(IO, "bench", MLP, "-o", "no/such/out.csv", *QUICK, message="no/such")
        self.fail_with(INVALID_MODEL, "bench", MODELS / "foreign.onnx", *QUICK, message="foreign.onnx")
        self.fail_with(UNSUPPORTED, "bench", MODELS / "unknown.onnx", *QUICK, message="unknown.onnx")
        self.write("model.csv", MLP.read_bytes())
        self.fail_with(USAGE, "bench", "model.csv", "-o", "model.csv", *QUICK, message="model.csv")


class Profile(ProgramTest):
    program = "bnrun"

    def test_shows_every_step_with_its_costs(self):
        lines = self.succeed("profile", MLP, "-b", "4", "--no-limits").decode().splitlines()
        self.assertEqual(lines[0].split(), ["step", "kernel", "calls", "us", "%", "FLOPs", "bytes", "limit"])
        self.assertRegex(lines[1], rf"^node 'fc1' \(Gemm\) \+ Relu +dense, packed +1 +[\d.]+ +[\d.]+ +{2 * 4 * 8 * 16} +"
                                   rf"{4 * (4 * 8 + 8 * 16 + 4 * 16)}$")
        self.assertRegex(lines[3], r"^between the steps +[\d.]+ +[\d.]+$")
        self.assertRegex(lines[-1], r"^One run of 4 rows takes [\d.]+ us on 1 thread: .*\d+ %.*\.$")

    def test_tells_which_convolutions_are_fast(self):
        for kernels, kernel in (("auto", "convolution, packed"), ("fast", r"convolution, Winograd F\(4x4,3x3\)")):
            out = self.succeed("profile", PICTURE, "-b", "1", "--kernels", kernels, "--no-limits").decode()
            self.assertRegex(out, rf"node 'conv' \(Conv\) +{kernel} +1 ")

    def test_shares_add_up(self):
        lines = self.succeed("profile", MLP, "--no-limits").decode().splitlines()
        shares = [float(line.replace("dense, packed", "kernel").split("kernel")[-1].split()[2]) for line in lines[1:3]]
        self.assertAlmostEqual(sum(shares) + float(lines[3].split()[-1]), 100.0, delta=0.3)

    def test_compares_with_the_limits_of_the_machine(self):
        out = self.succeed("profile", MLP, "-b", "64").decode()
        self.assertRegex(out, r"\d+ % FMA")

    def test_writes_a_trace_for_chrome(self):
        self.succeed("profile", MLP, "-b", "1000", "-t", "2", "-o", "trace.json", "--no-limits")
        trace = json.loads((self.folder / "trace.json").read_text())
        calls = [event for event in trace["traceEvents"] if event["ph"] == "X"]
        names = [event for event in trace["traceEvents"] if event["ph"] == "M"]
        self.assertEqual([event["args"]["name"] for event in names], ["caller", "helper 1"])
        self.assertEqual({event["name"] for event in calls}, {"node 'fc1' (Gemm) + Relu", "node 'fc2' (Gemm)"})
        self.assertGreater(len(calls), 2)
        for event in calls:
            self.assertGreaterEqual(event["ts"], 0)
            self.assertGreaterEqual(event["dur"], 0)
            self.assertIn(event["tid"], (0, 1))
            self.assertEqual(event["args"]["kernel"], "dense, packed")
        self.assertEqual(calls[0]["args"]["flops_of_all_calls"], 2 * 1000 * 8 * 16)

    def test_sends_a_trace_to_standard_output_alone(self):
        self.assertIn("traceEvents", json.loads(self.succeed("profile", MLP, "-o", "-", "--no-limits")))

    def test_refuses_what_makes_no_sense(self):
        self.fail_with(USAGE, "profile", MLP, "-b", "0", message="'0' is not a whole number above 0")
        self.fail_with(IO, "profile", "missing.onnx", "--no-limits", message="missing.onnx")
        self.fail_with(IO, "profile", MLP, "-o", "no/such.json", "--no-limits", message="no/such.json")
        self.fail_with(INVALID_MODEL, "profile", MODELS / "truncated.onnx", "--no-limits", message="truncated.onnx")
        self.write("model.json", MLP.read_bytes())
        self.fail_with(USAGE, "profile", "model.json", "-o", "model.json", "--no-limits", message="model.json")


if __name__ == "__main__":
    unittest.main()
