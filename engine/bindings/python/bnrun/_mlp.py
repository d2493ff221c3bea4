"""MLPClassifier and MLPRegressor: the engine's trainer in scikit-learn's manner."""

import numbers

import numpy as np

from . import _engine
from ._estimators import (BaseEstimator, ClassifierMixin, RegressorMixin, check_classification_targets, check_is_fitted,
                          check_random_state, column_or_1d, validate_data)
from ._session import InferenceSession


class _Mlp(BaseEstimator):
    """Layers of Dense, BatchNormalization and an activation, exported as ONNX.

    Parameters: `hidden_layer_sizes`; `activation` is 'relu', 'tanh', 'logistic' or 'identity'; `batch_normalization` stands
    behind each hidden Dense, its running statistics keep `bn_momentum` of what they were at each step; `solver` is 'adam' or
    'sgd' (with `momentum`), `learning_rate_init` its step; `batch_size` rows a step, `max_iter` times through the rows;
    `standardize` features (and a regression's targets) inside the model; `validation_fraction` of the rows set aside
    for the figures of `validation_scores_`; `random_state` as everywhere in scikit-learn.

    Fitted: `onnx_` are the bytes of the model, `loss_curve_`, `n_iter_`, `n_features_in_` and, after a table with column
    names, `feature_names_in_`: later tables are then taken by name, their columns in any order, others beside them.
    """

    def __init__(self, hidden_layer_sizes=(32, 32), activation="relu", *, batch_normalization=True, bn_momentum=0.9,
                 solver="adam", learning_rate_init=0.001, momentum=0.9, batch_size=32, max_iter=100, standardize=True,
                 validation_fraction=0.0, random_state=None):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.batch_normalization = batch_normalization
        self.bn_momentum = bn_momentum
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.momentum = momentum
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.standardize = standardize
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X, y):
        """Learns the rows of X and their y. What is refused leaves the estimator as it was."""
        before = dict(self.__dict__)
        try:
            self._check_params()
            return self._learn(X, y)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _check_params(self):
        def whole(value):
            return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value >= 1

        def between(low, high, open_low=False):
            def fits(value):
                real = isinstance(value, numbers.Real) and not isinstance(value, bool) and np.isfinite(value)
                return real and (low < value if open_low else low <= value) and value < high
            return fits

        hidden = self.hidden_layer_sizes
        units = hidden if np.iterable(hidden) and not isinstance(hidden, str) else (hidden,)
        flag = (lambda value: isinstance(value, (bool, np.bool_)), "True or False")
        count = (whole, "a whole number above 0")
        fraction = (between(0, 1), "a number from 0 to below 1")
        for name, (fits, wanted) in {
                "hidden_layer_sizes": (lambda _: all(whole(size) for size in units), "whole numbers above 0"),
                "activation": (lambda value: value in ("relu", "tanh", "logistic", "identity"), "'relu', 'tanh', 'logistic' or 'identity'"),
                "batch_normalization": flag, "bn_momentum": fraction, "solver": (lambda value: value in ("adam", "sgd"), "'adam' or 'sgd'"),
                "learning_rate_init": (between(0, np.inf, open_low=True), "a number above 0"), "momentum": fraction,
                "batch_size": count, "max_iter": count, "standardize": flag, "validation_fraction": fraction}.items():
            value = getattr(self, name)
            if not fits(value):
                raise ValueError(f"{name} must be {wanted}, it is {value!r}")

    def _fit(self, X, target, class_names, target_name):
        if self.batch_normalization and len(X) < 2:
            raise ValueError("n_samples = 1: a batch of 1 sample has no variance to normalise with; "
                             "batch_normalization=False fits it")
        hidden = self.hidden_layer_sizes
        options = {
            "hidden": [int(units) for units in (hidden if np.iterable(hidden) else (hidden,))],
            "activation": self.activation, "batch_normalization": bool(self.batch_normalization),
            "bn_momentum": float(self.bn_momentum), "solver": self.solver, "learning_rate": float(self.learning_rate_init),
            "momentum": float(self.momentum), "batch_size": int(self.batch_size), "epochs": int(self.max_iter),
            "standardize": bool(self.standardize), "validation": float(self.validation_fraction),
            "seed": int(check_random_state(self.random_state).randint(2**31 - 1)), "classes": len(class_names),
            "features": [str(name) for name in getattr(self, "feature_names_in_", ())], "class_names": class_names,
            "target": target_name}
        self.onnx_, history = _engine.fit_network(np.ascontiguousarray(X, np.float32), target, options)
        self.loss_curve_ = [entry[0] for entry in history]
        self.loss_ = self.loss_curve_[-1]
        self.validation_scores_ = [entry[3] for entry in history] if self.validation_fraction else None
        self.n_iter_ = len(history)
        self.session_ = InferenceSession(self.onnx_)
        return self

    def _by_name(self, X):
        """The columns learnt from, in that order, of a table that has them by name."""
        names = getattr(self, "feature_names_in_", None)
        if names is not None and hasattr(X, "columns") and set(names) <= set(X.columns):
            return X[list(names)]
        return X

    def _outputs(self, X):
        check_is_fitted(self, "onnx_")
        X = validate_data(self, self._by_name(X), reset=False, dtype=np.float32)
        return self.session_.run(None, {"input": X})[0]

    def to_onnx(self, path=None):
        """The model's bytes; also written to the file `path`. Its input is the table as it is, float32 [N, columns]."""
        check_is_fitted(self, "onnx_")
        if path is not None:
            with open(path, "wb") as file:
                file.write(self.onnx_)
        return self.onnx_


class MLPClassifier(ClassifierMixin, _Mlp):
    __doc__ = _Mlp.__doc__.replace("Layers of", "A classifier of layers of", 1) + "\n    `classes_` are the labels, sorted."

    def _learn(self, X, y):
        target_name = str(getattr(y, "name", None) or "target")
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class ({self.classes_[0]!r}): a classifier needs two classes at least")
        return self._fit(X, labels.astype(np.int64), [str(label) for label in self.classes_], target_name)

    def predict_proba(self, X):
        """[rows, classes], columns as in `classes_`."""
        return self._outputs(X)

    def predict_log_proba(self, X):
        return np.log(self.predict_proba(X))

    def predict(self, X):
        check_is_fitted(self, "onnx_")
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class MLPRegressor(RegressorMixin, _Mlp):
    __doc__ = _Mlp.__doc__.replace("Layers of", "A regressor of layers of", 1)

    def _more_tags(self):
        return {"multioutput": True}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _learn(self, X, y):
        target_name = str(getattr(y, "name", None) or "target")
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True)
        y = np.asarray(y, np.float32)
        self._one_target = y.ndim == 1
        return self._fit(X, np.ascontiguousarray(y.reshape(len(y), -1)), [], target_name)

    def predict(self, X):
        """[rows], or [rows, targets] as they were given to `fit`."""
        predicted = self._outputs(X).astype(np.float64)
        return predicted.ravel() if self._one_target else predicted
