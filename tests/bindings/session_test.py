"""bnrun.InferenceSession: numbers, memory, threads, errors."""

import gc
import os
import pathlib
import pickle
import sys
import tempfile
import threading
import unittest
import warnings

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import bnrun
from models import convolution, dense_network, model, zipped_classifier

FLOAT = TensorProto.FLOAT


def session_of(made, options=None):
    return bnrun.InferenceSession(made.SerializeToString(), options)


def unary(op_type, element=FLOAT, dims=("N", 2), output=None, **attributes):
    return model([helper.make_node(op_type, ["x"], ["y"], **attributes)], {"x": (element, list(dims))},
                 {"y": (output or element, list(dims))})


class Numbers(unittest.TestCase):
    def test_every_element_type_goes_in_and_comes_out_as_it_is(self):
        types = {"float32": FLOAT, "float64": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16, "int8": TensorProto.INT8,
                 "int16": TensorProto.INT16, "int32": TensorProto.INT32, "int64": TensorProto.INT64,
                 "uint8": TensorProto.UINT8, "uint16": TensorProto.UINT16, "uint32": TensorProto.UINT32,
                 "uint64": TensorProto.UINT64, "bool": TensorProto.BOOL, "complex64": TensorProto.COMPLEX64}
        for name, element in types.items():
            x = np.array([[0, 1], [1, 0], [1, 1]]).astype(name)
            y, = session_of(unary("Transpose", element, (3, 2), perm=[0, 1])).run(None, {"x": x})
            self.assertEqual(y.dtype, x.dtype, name)
            np.testing.assert_array_equal(y, x)

    def test_bfloat16_shows_as_its_bits(self):
        session = session_of(unary("Relu", TensorProto.BFLOAT16))
        one_and_minus_two = np.array([[0x3F80, 0xC000]], np.uint16)
        np.testing.assert_array_equal(session.run(None, {"x": one_and_minus_two})[0], [[0x3F80, 0]])

    def test_text_goes_in_and_comes_out_as_str(self):
        session = session_of(unary("Identity", TensorProto.STRING))
        for x in (np.array([["a", "größer"]]), np.array([["a", "größer"]], object), np.array([[b"a", "größer".encode()]])):
            y, = session.run(None, {"x": x})
            self.assertEqual(y.dtype, object)
            self.assertEqual(y.tolist(), [["a", "größer"]])
        with self.assertRaisesRegex(bnrun.InvalidInput, "float"):
            session.run(None, {"x": np.array([["a", 1.5]], object)})

    def test_any_memory_order_gives_the_same(self):
        session = session_of(dense_network())
        x = np.random.default_rng(3).standard_normal((6, 64)).astype(np.float32)
        expected = session.run(None, {"x": x})[0]
        wide = np.zeros((12, 128), np.float32)
        wide[::2, ::2] = x
        unaligned = np.frombuffer(b"\0" + x.tobytes(), np.float32, offset=1).reshape(x.shape)
        for same in (np.asfortranarray(x), wide[::2, ::2], x.astype(">f4"), unaligned, x[::-1][::-1], x.tolist()):
            np.testing.assert_array_equal(session.run(None, {"x": same})[0], expected)

    def test_numbers_in_lists_take_the_type_of_the_input_unchanged(self):
        int64, uint8, int8, bfloat16 = TensorProto.INT64, TensorProto.UINT8, TensorProto.INT8, TensorProto.BFLOAT16
        half, double, boolean, complex64 = TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BOOL, TensorProto.COMPLEX64
        sessions = {element: session_of(unary("Transpose", element, ("N",), perm=[0]))
                    for element in (FLOAT, half, double, int64, uint8, int8, boolean, complex64, bfloat16)}
        for element, given in [(FLOAT, [1, 2]), (FLOAT, [0.5, 2]), (FLOAT, (True, 2)), (half, [0.5]), (double, [0.1]),
                               (int64, [1, -2]), (int64, [True, False]), (int64, [np.int8(3)]), (uint8, [0, 255]), (int8, [-128]),
                               (boolean, [True, False]), (boolean, [1, 0]), (complex64, [1, 0.5, 2j]), (bfloat16, [0x3F80]),
                               (int64, []), (FLOAT, []), (boolean, ())]:
            y, = sessions[element].run(None, {"x": given})
            np.testing.assert_array_equal(y, np.array(given).astype(y.dtype))
        for element, given in [(int64, [1.7, 2.9]), (int64, [1.0]), (uint8, [256]), (uint8, [-1]), (int8, [128]), (boolean, [2]),
                               (boolean, [0.5]), (FLOAT, [1j]), (bfloat16, [1.0, -2.0]), (int64, [2**63]), (int64, [2**70]),
                               (FLOAT, ["1"]), (int64, [None])]:
            with self.assertRaisesRegex(bnrun.InvalidInput, "'x'", msg=given), warnings.catch_warnings():
                warnings.simplefilter("error")
                sessions[element].run(None, {"x": given})
        scalar = session_of(unary("Neg", int64, ()))
        self.assertEqual(scalar.run(None, {"x": 3})[0], -3)
        with self.assertRaisesRegex(bnrun.InvalidInput, "'x'.*int64.*float64"):
            scalar.run(None, {"x": 3.5})

    def test_an_input_may_leave_the_dict_while_it_is_read(self):
        class Leaves:
            def __array__(self, *_, **__):
                feed.clear()
                return np.ones((2, 64), np.float32)

        session = session_of(dense_network())
        expected, = session.run(None, {"x": np.ones((2, 64), np.float32)})
        feed = {"x": Leaves()}
        np.testing.assert_array_equal(session.run(None, feed)[0], expected)

    def test_shapes_may_change_from_run_to_run(self):
        session = session_of(dense_network())
        x = np.ones((7, 64), np.float32)
        for rows in (1, 7, 0, 3, 1):
            self.assertEqual(session.run(["y"], {"x": x[:rows]})[0].shape, (rows, 10))

    def test_outputs_whose_shapes_depend_on_data(self):
        session = session_of(model([helper.make_node("NonZero", ["x"], ["y"])], {"x": (FLOAT, ["N"])},
                                   {"y": (TensorProto.INT64, [1, None])}))
        for x in ([0, 1, 2], [0, 0], [3]):
            y, = session.run(None, {"x": np.array(x, np.float32)})
            np.testing.assert_array_equal(y, np.nonzero(x))
        kept = y.copy()
        session.run(None, {"x": np.zeros(5, np.float32)})
        np.testing.assert_array_equal(y, kept)

    def test_results_are_the_callers_alone(self):
        session = session_of(dense_network())
        x = np.ones((2, 64), np.float32)
        first = session.run(None, {"x": x})[0]
        kept = first.copy()
        second = session.run(None, {"x": 2 * x})[0]
        np.testing.assert_array_equal(first, kept)
        self.assertTrue(first.flags.writeable and second.flags.owndata)

    def test_outputs_are_named_by_any_iterable(self):
        session = session_of(model([helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Abs", ["x"], ["b"])],
                                   {"x": (FLOAT, [1])}, {"a": (FLOAT, [1]), "b": (FLOAT, [1])}))
        feed = {"x": np.array([-2], np.float32)}
        for names, expected in [(None, [2, 2]), ([], [2, 2]), (iter(()), [2, 2]), (["b"], [2]), ((name for name in "ba"), [2, 2]),
                                (iter(["b", "b", "a"]), [2, 2, 2]), ({"b": 1}, [2])]:
            self.assertEqual([float(y[0]) for y in session.run(names, feed)], expected)
        with self.assertRaisesRegex(bnrun.InvalidInput, "'c'"):
            session.run((name for name in "ac"), feed)

    def test_an_optional_input_keeps_its_default(self):
        made = model([helper.make_node("Add", ["x", "b"], ["y"])], {"x": (FLOAT, ["N", 2]), "b": (FLOAT, [2])},
                     {"y": (FLOAT, ["N", 2])}, [numpy_helper.from_array(np.array([1, 2], np.float32), "b")])
        session = session_of(made)
        x = np.zeros((1, 2), np.float32)
        self.assertEqual([port.name for port in session.get_inputs()], ["x"])
        self.assertEqual([port.name for port in session.get_overridable_initializers()], ["b"])
        for feed, expected in [({}, [1, 2]), ({"b": None}, [1, 2]), ({"b": np.array([5, 6], np.float32)}, [5, 6])]:
            self.assertEqual(session.run(None, {"x": x, **feed})[0].tolist(), [expected])


class Memory(unittest.TestCase):
    def test_inputs_are_read_in_place(self):
        """A copy of this input would double what the process holds at most."""
        import resource
        first = numpy_helper.from_array(np.array([0]), "first")
        session = session_of(model([helper.make_node("Gather", ["x", "first"], ["y"])], {"x": (FLOAT, ["N", "M"])},
                                   {"y": (FLOAT, [1, "M"])}, [first]))
        x = np.ones((64, 1 << 20), np.float32)  # 256 MiB
        session.run(None, {"x": x[:1]})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        session.run(None, {"x": x})
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 128 << 10)

    def test_nothing_is_left_behind(self):
        session = session_of(zipped_classifier(["a", "b", "c"]))
        dense = session_of(dense_network())
        X, x = np.ones((2, 2), np.float32), np.ones((1, 64), np.float32)
        wrong = np.ones((1, 3), np.float32)

        def calls():
            session.run(None, {"X": X})
            dense.run(["y"], input_feed={"x": x})
            try:
                dense.run(None, {"x": wrong})
            except bnrun.InvalidInput:
                pass

        for _ in range(10):
            calls()
        counts = [sys.getrefcount(o) for o in (X, x, wrong, "y", None)]
        gc.collect()
        blocks = sys.getallocatedblocks()
        for _ in range(1000):
            calls()
        gc.collect()
        self.assertEqual([sys.getrefcount(o) for o in (X, x, wrong)], counts[:3])
        self.assertLess(sys.getallocatedblocks() - blocks, 500)  # one a call would be twice as many

    def test_bytes_may_go_once_the_session_is_made(self):
        bytes_ = bytearray(dense_network().SerializeToString())
        session = bnrun.InferenceSession(bytes_)
        bytes_[:] = b"\0" * len(bytes_)
        self.assertEqual(session.run(None, {"x": np.ones((1, 64), np.float32)})[0].shape, (1, 10))

    def test_an_output_lies_apart_from_inputs_and_other_outputs(self):
        """Where an operator reads what another has written over, the numbers would be wrong."""
        nodes = [helper.make_node("Transpose", ["x"], ["turned"]), helper.make_node("Neg", ["x"], ["negative"])]
        session = session_of(model(nodes, {"x": (FLOAT, [2, 2])}, {"turned": (FLOAT, [2, 2]), "negative": (FLOAT, [2, 2])}))
        memory = np.arange(12, dtype=np.float32)
        given = memory[:4].reshape(2, 2)
        apart = [memory[4:8].reshape(2, 2), memory[8:].reshape(2, 2)]
        for outputs, both in [([given, None], "'turned'.*'x'"), ([None, given], "'negative'.*'x'"),
                              ([None, memory[3:7].reshape(2, 2)], "'negative'.*'x'"),
                              ([apart[0], apart[0]], "'negative'.*'turned'"),
                              ([apart[0], memory[7:11].reshape(2, 2)], "'negative'.*'turned'")]:
            with self.assertRaisesRegex(bnrun.InvalidInput, both):
                session.run_into([given], outputs)
        np.testing.assert_array_equal(memory, np.arange(12))
        turned, negative = session.run_into([given], apart)
        np.testing.assert_array_equal(turned, given.T)
        np.testing.assert_array_equal(negative, -given)
        empty = session_of(unary("Neg"))
        x = np.zeros((0, 2), np.float32)
        self.assertIs(empty.run_into([x], [x])[0], x)

    def test_outputs_whose_shapes_depend_on_data_lie_apart_too(self):
        nodes = [helper.make_node(op_type, [x], [y]) for op_type, x, y in
                 [("NonZero", "x", "found"), ("Neg", "found", "negative")]]
        session = session_of(model(nodes, {"x": (FLOAT, ["N"])}, {"found": (TensorProto.INT64, [1, None]),
                                                                 "negative": (TensorProto.INT64, [1, None])}))
        buffer = np.zeros((1, 2), np.int64)
        with self.assertRaisesRegex(bnrun.InvalidInput, "'negative'.*'found'"):
            session.run_into([np.array([0, 1, 1], np.float32)], [buffer, buffer])

    def test_models_come_from_any_buffer(self):
        bytes_ = dense_network().SerializeToString()
        expected = bnrun.inspect(bytes_).to_dict()
        spread = np.zeros(2 * len(bytes_), np.uint8)
        spread[::2] = np.frombuffer(bytes_, np.uint8)
        for same in (bytearray(bytes_), memoryview(bytes_), memoryview(bytes_[::-1])[::-1], spread[::2], spread[::2][::-1][::-1]):
            self.assertEqual(bnrun.inspect(same).to_dict(), expected)
            self.assertEqual(bnrun.fold(same).model, bnrun.fold(bytes_).model)


class Threads(unittest.TestCase):
    def test_one_session_runs_in_many_threads(self):
        session = session_of(dense_network())
        xs = [np.random.default_rng(i).standard_normal((1 + i, 64)).astype(np.float32) for i in range(8)]
        expected = [session.run(None, {"x": x})[0] for x in xs]
        wrong = []

        def work(i):
            for _ in range(200):
                if not np.array_equal(session.run(None, {"x": xs[i]})[0], expected[i]):
                    wrong.append(i)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_others_run_during_a_run(self):
        """A run waits in its progress for what another thread says: with the interpreter locked it would wait for ever."""
        session = session_of(dense_network())
        reached, said = threading.Event(), threading.Event()
        options = bnrun.RunOptions()

        def progress(done):
            reached.set()
            self.assertTrue(said.wait(60))

        options.progress = progress
        thread = threading.Thread(target=session.run, args=(None, {"x": np.ones((1, 64), np.float32)}, options))
        thread.start()
        self.assertTrue(reached.wait(60))
        session.run(None, {"x": np.ones((2, 64), np.float32)})
        said.set()
        thread.join()

    def test_a_run_is_cancelled(self):
        session = session_of(dense_network())
        options = bnrun.RunOptions()
        options.terminate = True
        with self.assertRaises(bnrun.Cancelled):
            session.run(None, {"x": np.ones((1, 64), np.float32)}, options)
        options.terminate = False
        session.run(None, {"x": np.ones((1, 64), np.float32)}, run_options=options)

        def stop(done):
            raise KeyError("enough")

        options.progress = stop
        with self.assertRaisesRegex(KeyError, "enough"):
            session.run(None, {"x": np.ones((1, 64), np.float32)}, options)

    def test_fast_convolutions_differ_a_little_and_not_with_the_batch(self):
        made = convolution(32, 32)
        x = np.random.default_rng(1).standard_normal((2, 32, 24, 24)).astype(np.float32)
        options = bnrun.SessionOptions()
        options.fast = True
        plain, fast = session_of(made).run(None, {"x": x})[0], session_of(made, options).run(None, {"x": x})[0]
        self.assertTrue((plain != fast).any())
        np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(session_of(made, options).run(None, {"x": x[1:]})[0], fast[1:])
        options.blas = True
        with self.assertRaisesRegex(bnrun.InvalidInput, "options 'blas' and 'fast' are both set"):
            session_of(made, options)

    def test_sessions_share_threads(self):
        options = bnrun.SessionOptions()
        options.thread_pool = bnrun.ThreadPool(2)
        one, two = session_of(dense_network(), options), session_of(dense_network(), options)
        x = np.ones((500, 64), np.float32)
        self.assertEqual(one.run(None, {"x": x})[0].shape, two.run(None, {"x": x})[0].shape)


class Text(unittest.TestCase):
    """Files may hold names in any encoding. Bytes that are not UTF-8 are lone surrogates, as in Python's file names."""

    @staticmethod
    def old_names():
        made = dense_network()
        made.graph.name = "graph@@"
        made.producer_name = "producer@@"
        made.opset_import[0].version = 15
        made.graph.node[1].name = "bn@@"
        made.graph.node[1].attribute.append(helper.make_attribute("training_mode", 1))
        made.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N@@"
        helper.set_model_props(made, {"author@@": "Jos@@"})
        return made.SerializeToString().replace(b"@@", b"\xe9\xff")

    def test_names_that_are_not_utf_8_come_through(self):
        bytes_ = self.old_names()
        odd = b"\xe9\xff".decode(errors="surrogateescape")
        session = bnrun.InferenceSession(bytes_)
        self.assertEqual(session.get_inputs()[0].shape, ["N" + odd, 64])
        meta = session.get_modelmeta()
        self.assertEqual((meta.graph_name, meta.producer_name), ("graph" + odd, "producer" + odd))
        self.assertEqual(meta.custom_metadata_map, {"author" + odd: "Jos" + odd})
        self.assertIn("bn" + odd, [entry["name"] for entry in session.fold_report.entries])
        report = bnrun.fold(bytes_, as_inference=True, skip=["bn" + odd])
        self.assertEqual({entry["name"]: entry["folded"] for entry in report.entries}, {"bn" + odd: False, "bn1": True})
        self.assertEqual([entry["name"] for entry in report.converted], ["bn" + odd])
        self.assertIn("bn" + odd, [layer["name"] for layer in bnrun.inspect(bytes_).layers])
        self.assertTrue(bnrun.verify(report.model, report.model))

    def test_errors_name_what_is_not_utf_8(self):
        odd = b"\xe9\xff".decode(errors="surrogateescape")
        made = model([helper.make_node("Frobnicate", ["x"], ["y"], name="node@@")], {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])})
        with self.assertRaisesRegex(bnrun.Unsupported, "node"):
            bnrun.InferenceSession(made.SerializeToString().replace(b"@@", b"\xe9\xff"))
        session = session_of(dense_network())
        x = np.ones((1, 64), np.float32)
        for name in ("z" + odd, "z\ud800"):
            with self.assertRaises(bnrun.InvalidInput):
                session.run(None, {"x": x, name: x})
            with self.assertRaises(bnrun.InvalidInput):
                session.run([name], {"x": x})
            with self.assertRaises(bnrun.InvalidInput):
                bnrun.verify(dense_network(), dense_network(), {name: x})

    def test_inputs_are_found_by_names_that_are_not_utf_8(self):
        odd = "x" + b"\xe9\xff".decode(errors="surrogateescape")
        made = model([helper.make_node("Neg", ["x@@"], ["y"])], {"x@@": (FLOAT, ["N"])}, {"y": (FLOAT, ["N"])})
        bytes_ = made.SerializeToString().replace(b"@@", b"\xe9\xff")
        x = np.ones(3, np.float32)
        self.assertEqual(bnrun.InferenceSession(bytes_).run(None, {odd: x})[0].tolist(), [-1, -1, -1])
        self.assertTrue(bnrun.verify(bytes_, bytes_, {odd: x}))
        self.assertTrue(bnrun.verify(bytes_, bytes_, shapes={odd: [5]}))

    def test_paths_may_be_any_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.fsencode(folder) + b"/m\xe9\xff.onnx"
            with open(path, "wb") as file:
                file.write(dense_network().SerializeToString())
            path, target = os.fsdecode(path), os.fsdecode(path + b".folded.onnx")
            self.assertEqual(len(bnrun.InferenceSession(path).get_inputs()), 1)
            self.assertEqual(len(bnrun.InferenceSession(pathlib.Path(path)).get_inputs()), 1)
            self.assertIsNone(bnrun.fold(path, target).model)
            self.assertTrue(bnrun.verify(path, pathlib.Path(target)))
            with self.assertRaises(bnrun.InputOutput):
                bnrun.InferenceSession(path + "nowhere")
            with self.assertRaises(bnrun.InputOutput):
                bnrun.fold(path, os.path.join(path, "below.onnx"))


class Errors(unittest.TestCase):
    def test_each_code_has_its_class(self):
        session = session_of(dense_network())
        x = np.ones((1, 64), np.float32)
        unknown = model([helper.make_node("Frobnicate", ["x"], ["y"])], {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])})
        threads = bnrun.SessionOptions()
        threads.intra_op_num_threads = 5000
        for error, also, text, call in [
            (bnrun.InvalidInput, ValueError, "no input 'z', it has 'x'", lambda: session.run(None, {"x": x, "z": x})),
            (bnrun.InvalidInput, ValueError, "'x' .* is missing", lambda: session.run(None, {})),
            (bnrun.InvalidInput, ValueError, "no output 'z', it has 'y'", lambda: session.run(["z"], {"x": x})),
            (bnrun.InvalidInput, ValueError, "float64", lambda: session.run(None, {"x": x.astype(float)})),
            (bnrun.InvalidInput, ValueError, "datetime64", lambda: session.run(None, {"x": np.array("2020", "M8[D]")})),
            (bnrun.InvalidInput, ValueError, "dict", lambda: session.run(None, [x])),
            (bnrun.InvalidModel, ValueError, "not an ONNX model", lambda: bnrun.InferenceSession(b"no model")),
            (bnrun.InputOutput, OSError, "nowhere.onnx", lambda: bnrun.InferenceSession("nowhere.onnx")),
            (bnrun.InputOutput, OSError, "no such file", lambda: bnrun.fold("")),
            (bnrun.InputOutput, OSError, "no such file", lambda: bnrun.inspect("")),
            (bnrun.Unsupported, NotImplementedError, "Frobnicate", lambda: session_of(unknown)),
            (bnrun.ResourceLimit, MemoryError, "5000", lambda: session_of(dense_network(), threads)),
            (TypeError, TypeError, "once", lambda: session.run(None, {"x": x}, output_names=None)),
            (TypeError, TypeError, "input_feed", lambda: session.run(None)),
            (TypeError, TypeError, "Session", lambda: bnrun._engine.inputs(object())),
        ]:
            with self.assertRaisesRegex(error, text) as caught:
                call()
            self.assertIsInstance(caught.exception, also)
        self.assertEqual(bnrun.InvalidInput.code, "invalid_input")

    def test_a_session_is_made_once(self):
        session = session_of(dense_network())
        with self.assertRaises(bnrun.InvalidInput):
            session.__init__(dense_network().SerializeToString())
        self.assertEqual(session.run(None, {"x": np.ones((1, 64), np.float32)})[0].shape, (1, 10))
        bare = bnrun._engine.Session.__new__(bnrun._engine.Session)
        with self.assertRaises(bnrun.InvalidInput):
            bare.run(None, {})


class Pickling(unittest.TestCase):
    def test_bytes_path_and_options_survive(self):
        x = np.ones((2, 64), np.float32)
        made = dense_network()
        options = bnrun.SessionOptions()
        options.fold = {"skip": ["bn0"]}
        options.thread_pool = bnrun.ThreadPool(1)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "m.onnx"
            path.write_bytes(made.SerializeToString())
            for source in (made.SerializeToString(), str(path), path):
                session = bnrun.InferenceSession(source, options)
                again = pickle.loads(pickle.dumps(session))
                np.testing.assert_array_equal(again.run(None, {"x": x})[0], session.run(None, {"x": x})[0])
                fates = {entry["name"]: entry["folded"] for entry in again.fold_report.entries}
                self.assertEqual(fates, {"bn0": False, "bn1": True})


class Reports(unittest.TestCase):
    def test_folding_verifying_and_inspecting(self):
        made = dense_network()
        report = bnrun.fold(made)
        self.assertEqual(len(report.entries), 2)
        self.assertTrue(report.complete)
        self.assertLess(report.after["nodes"], report.before["nodes"])
        self.assertTrue(bnrun.verify(made, report.model))
        inspection = bnrun.inspect(report.model)
        self.assertEqual(inspection.macs, 64 * 32 + 32 * 32 + 32 * 10)
        self.assertEqual([layer["op_type"] for layer in inspection.layers].count("Gemm"), 3)
        for skip in (["bn*"], ("bn*",), "bn*"):
            self.assertEqual(bnrun.fold(made, skip=skip).entries[0]["reason"], "switched_off")
        fates = {entry["name"]: entry["folded"] for entry in bnrun.fold(made, only="bn1").entries}
        self.assertEqual(fates, {"bn0": False, "bn1": True})
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder) / "folded.onnx"
            self.assertIsNone(bnrun.fold(made, target).model)
            self.assertEqual(target.read_bytes(), report.model)

    def test_models_that_differ(self):
        a, b = dense_network(), dense_network()
        report = bnrun.verify(a, b, {"x": np.ones((3, 64), np.float32)}, rtol=1e-3, atol=1e-3)
        self.assertFalse(report)
        self.assertEqual(report.verdict, "differ")
        self.assertEqual(report.inputs[0]["shape"], [3, 64])

    def test_data_that_does_not_fit_is_the_callers_mistake(self):
        made = dense_network()
        for x, message in [(np.ones((3, 64)), "'x' must be float32.N,64., given is float64.3,64."),
                           (np.ones((3, 63), np.float32), "'x' must be float32.N,64., given is float32.3,63.")]:
            with self.assertRaisesRegex(bnrun.InvalidInput, message):
                bnrun.verify(made, made, {"x": x})
        for options in ({"range": (float("nan"), 1)}, {"range": (0, float("inf"))}, {"range": (1, 0)}, {"rtol": -1}, {"atol": float("nan")},
                        {"budget": float("nan")}, {"budget": -1}, {"batches": -1}, {"rows": -1}):
            with self.assertRaises(bnrun.InvalidInput, msg=options):
                bnrun.verify(made, made, **options)

    def test_reports_show_themselves(self):
        made = dense_network()
        made.graph.node[1].name = "<script>"
        report = bnrun.fold(made)
        for shown in (report, bnrun.verify(made, report.model), bnrun.inspect(made)):
            self.assertIn("<table>", shown._repr_html_())
            self.assertNotIn("<script>", shown._repr_html_())
            self.assertEqual(shown.to_dict(), pickle.loads(pickle.dumps(shown)).to_dict())
            self.assertTrue(shown.to_json())
        self.assertIn("<script>", repr(report))
        with self.assertRaisesRegex(AttributeError, "entries"):
            report.nothing


class Stubs(unittest.TestCase):
    def test_they_name_what_there_is(self):
        import ast
        folder = pathlib.Path(bnrun.__file__).parent
        tree = ast.parse((folder / "__init__.pyi").read_text())
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        self.assertEqual(set(functions) | set(classes) - {"_Mlp"}, set(bnrun.__all__))
        self.assertTrue((folder / "py.typed").exists())
        for name, node in classes.items() - {("_Mlp", classes["_Mlp"])}:
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    self.assertTrue(hasattr(getattr(bnrun, name), item.name), f"{name}.{item.name}")
        for name, node in functions.items():
            arguments = [argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]]
            code = getattr(bnrun, name).__code__
            self.assertEqual(arguments, list(code.co_varnames[:code.co_argcount + code.co_kwonlyargcount]), name)


if __name__ == "__main__":
    unittest.main()
