"""What of scikit-learn the estimators stand on: its own base classes and checks where it is installed, else as much of
them as is needed without."""

import inspect

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted

    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # before 1.6 it was a method
        def validate_data(estimator, *arrays, **options):
            return estimator._validate_data(*arrays, **options)

except ImportError:
    class BaseEstimator:
        def get_params(self, deep=True):
            names = inspect.signature(type(self).__init__).parameters
            return {name: getattr(self, name) for name in names if name != "self"}

        def set_params(self, **params):
            known = self.get_params()
            for name, value in params.items():
                if name not in known:
                    raise ValueError(f"Invalid parameter {name!r} for {type(self).__name__}: it has {', '.join(known)}")
                setattr(self, name, value)
            return self

    class ClassifierMixin:
        def score(self, X, y):
            """The fraction of rows whose class is predicted."""
            return float(np.mean(self.predict(X) == np.asarray(y)))

    class RegressorMixin:
        def score(self, X, y):
            """1 - squared error / squared deviation from the mean, of all outputs together."""
            y = np.asarray(y, float)
            return float(1 - np.sum((self.predict(X) - y) ** 2) / np.sum((y - y.mean(axis=0)) ** 2))

    def check_random_state(seed):
        return seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)

    def column_or_1d(y, warn=False):
        y = np.asarray(y)
        if y.ndim != 1 and y.size != len(y):
            raise ValueError(f"y must be one column, it has shape {y.shape}")
        return y.ravel()

    def check_classification_targets(y):
        if y.dtype.kind == "f" and np.any(y != np.floor(y)):
            raise ValueError("y holds numbers that are not whole: a target of classes is expected")

    def check_is_fitted(estimator, attribute):
        if not hasattr(estimator, attribute):
            raise ValueError(f"this {type(estimator).__name__} is not fitted yet: call fit first")

    def validate_data(estimator, X, y=None, reset=True, dtype=None, multi_output=False, y_numeric=False):
        names = np.asarray(X.columns, object) if hasattr(X, "columns") else None
        X = np.asarray(X, np.float32)
        if X.ndim != 2 or X.size == 0 or not np.isfinite(X).all():
            raise ValueError(f"X must be a table of finite numbers with rows and columns, it has shape {X.shape}")
        if reset:
            estimator.n_features_in_ = X.shape[1]
            if names is not None:
                estimator.feature_names_in_ = names
        elif X.shape[1] != estimator.n_features_in_:
            raise ValueError(f"X has {X.shape[1]} features, {estimator.n_features_in_} were learnt from")
        if y is None:
            return X
        y = np.asarray(y)
        if len(y) != len(X):
            raise ValueError(f"X has {len(X)} rows, y has {len(y)}")
        return X, y
