"""bnrun.MLPClassifier and MLPRegressor: scikit-learn's own checks where it is installed, and without it."""

import importlib.util
import pickle
import subprocess
import sys
import unittest
import warnings

import numpy as np
import onnx

import bnrun

HAS_SKLEARN = importlib.util.find_spec("sklearn") is not None
HAS_PANDAS = importlib.util.find_spec("pandas") is not None


def blobs(rows=300):
    numbers = np.random.default_rng(5)
    y = numbers.integers(0, 3, rows)
    X = numbers.standard_normal((rows, 4)) + 3 * np.eye(3, 4)[y]
    return X, np.array(["ant", "bee", "cow"])[y]


class Estimators(unittest.TestCase):
    @unittest.skipUnless(HAS_SKLEARN, "scikit-learn is not installed")
    def test_scikit_learns_checks_pass(self):
        from sklearn.utils.estimator_checks import check_estimator
        for estimator in (bnrun.MLPClassifier(), bnrun.MLPRegressor(), bnrun.MLPClassifier(batch_normalization=False)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check_estimator(estimator)

    def test_a_classifier_learns_and_leaves_a_model_that_says_the_same(self):
        X, y = blobs()
        classifier = bnrun.MLPClassifier(max_iter=30, random_state=0).fit(X, y)
        self.assertGreater(classifier.score(X, y), 0.9)
        self.assertEqual(classifier.classes_.tolist(), ["ant", "bee", "cow"])
        self.assertLess(classifier.loss_curve_[-1], classifier.loss_curve_[0])
        session = bnrun.InferenceSession(classifier.to_onnx())
        self.assertEqual(session.class_names, ["ant", "bee", "cow"])
        np.testing.assert_array_equal(session.run(None, {"input": X.astype(np.float32)})[0], classifier.predict_proba(X))
        operators = [node.op_type for node in onnx.load_from_string(classifier.onnx_).graph.node]
        self.assertEqual(operators.count("BatchNormalization"), 2)
        again = pickle.loads(pickle.dumps(classifier))
        self.assertEqual(again.predict(X).tolist(), classifier.predict(X).tolist())

    def test_a_regressor_learns_one_target_or_several(self):
        X, _ = blobs()
        target = 100 + 20 * X[:, 0] - 5 * X[:, 1]
        for y in (target, np.stack([target, -target], axis=1)):
            regressor = bnrun.MLPRegressor((16,), max_iter=60, random_state=1).fit(X, y)
            self.assertEqual(regressor.predict(X).shape, y.shape)
            self.assertGreater(regressor.score(X, y), 0.9)

    def test_the_same_seed_gives_the_same_model(self):
        X, y = blobs(50)
        one, two, other = (bnrun.MLPClassifier(max_iter=3, random_state=seed).fit(X, y).onnx_ for seed in (7, 7, 8))
        self.assertEqual(one, two)
        self.assertNotEqual(one, other)

    def test_what_makes_no_sense_is_refused(self):
        X, y = blobs(20)
        for name, values in {"solver": ["lbfgs", 3], "activation": ["swish", None], "hidden_layer_sizes": [0, -3, 2.5, (8, 0), "32", None],
                             "bn_momentum": [1, -0.1, np.nan, "0.9"], "momentum": [1, -1, True], "learning_rate_init": [0, -1, np.inf, np.nan],
                             "batch_size": [0, 2.5, True], "max_iter": [0, -1, 1.5], "validation_fraction": [1, -0.1, np.nan],
                             "batch_normalization": [None, 1, "yes"], "standardize": ["no"]}.items():
            for value in values:
                with self.assertRaisesRegex(ValueError, f"^{name} must be ", msg=(name, value)):
                    bnrun.MLPClassifier(**{name: value}).fit(X, y)
        for message, call in [("one class", lambda: bnrun.MLPClassifier().fit(X, ["a"] * 20)),
                              ("not fitted", lambda: bnrun.MLPRegressor().predict(X))]:
            with self.assertRaisesRegex(ValueError, message):
                call()

    def test_a_fit_that_is_refused_leaves_the_estimator_as_it_was(self):
        X, y = blobs(50)
        classifier = bnrun.MLPClassifier(max_iter=3, random_state=1).fit(X, y)
        before, predicted = set(vars(classifier)), classifier.predict(X)
        for wrong in (lambda: classifier.fit(X[:, :2], ["a"] * 50), lambda: classifier.fit(X[:, :3], np.array(["p", "q"] * 20)),
                      lambda: classifier.fit(np.full((4, 7), np.nan), ["a", "b"] * 2)):
            with self.assertRaises(ValueError):
                wrong()
            self.assertEqual(set(vars(classifier)), before)
            self.assertEqual((classifier.n_features_in_, list(classifier.classes_)), (4, ["ant", "bee", "cow"]))
            np.testing.assert_array_equal(classifier.predict(X), predicted)
        fresh = bnrun.MLPRegressor(max_iter=2)
        with self.assertRaises(ValueError):
            fresh.fit(X, np.zeros(3))
        self.assertFalse(hasattr(fresh, "n_features_in_"))

    @unittest.skipUnless(HAS_PANDAS, "pandas is not installed")
    def test_a_table_is_taken_by_the_names_of_its_columns(self):
        import pandas
        X, y = blobs()
        table = pandas.DataFrame(X, columns=["w", "x", "y", "z"])
        classifier = bnrun.MLPClassifier(max_iter=5, random_state=0).fit(table, pandas.Series(y, name="animal"))
        self.assertEqual(classifier.feature_names_in_.tolist(), ["w", "x", "y", "z"])
        mixed = table[["z", "w", "y", "x"]].assign(beside=0.0)
        np.testing.assert_array_equal(classifier.predict_proba(mixed), classifier.predict_proba(table))
        properties = {p.key: p.value for p in onnx.load_from_string(classifier.onnx_).metadata_props}
        self.assertEqual(properties["bnrun.features"], '["w","x","y","z"]')
        self.assertEqual(properties["bnrun.target"], "animal")


class WithoutScikitLearn(unittest.TestCase):
    @unittest.skipUnless(HAS_SKLEARN, "scikit-learn is not installed: the tests above ran without it")
    def test_the_same_holds(self):
        hide = "import runpy, sys; sys.modules['sklearn'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
        done = subprocess.run([sys.executable, "-B", "-c", hide, __file__], stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_parameters_are_read_and_set(self):
        estimator = bnrun.MLPClassifier(max_iter=7)
        self.assertEqual(estimator.get_params()["max_iter"], 7)
        self.assertIs(estimator.set_params(max_iter=9), estimator)
        self.assertEqual(estimator.max_iter, 9)
        with self.assertRaisesRegex(ValueError, "epochs"):
            estimator.set_params(epochs=1)


if __name__ == "__main__":
    unittest.main()
