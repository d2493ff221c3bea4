"""bnrun: ONNX models on CPUs with BatchNormalization folded away. What onnxruntime calls so is called so here."""

from . import _engine
from ._errors import (Cancelled, Error, InputOutput, Internal, InvalidInput, InvalidModel, ResourceLimit,
                      Unsupported)
from ._models import fold, inspect, verify
from ._reports import FoldReport, Inspection, VerifyReport
from ._session import (PROVIDERS, ExecutionMode, GraphOptimizationLevel, InferenceSession, IOBinding, ModelMetadata,
                       NodeArg, OrtValue, RunOptions, SessionOptions)

__version__ = _engine.version
ThreadPool = _engine.ThreadPool


def get_available_providers():
    return list(PROVIDERS)


get_all_providers = get_available_providers


def get_device():
    return "CPU"


def set_default_logger_severity(severity):
    """The engine logs nothing."""


def __getattr__(name):
    # The estimators import scikit-learn where it is installed: only for those who ask for them.
    if name in ("MLPClassifier", "MLPRegressor"):
        from . import _mlp
        return getattr(_mlp, name)
    raise AttributeError(f"module 'bnrun' has no attribute '{name}'")


__all__ = ["Cancelled", "Error", "ExecutionMode", "FoldReport", "GraphOptimizationLevel", "IOBinding", "InferenceSession",
           "InputOutput", "Inspection", "Internal", "InvalidInput", "InvalidModel", "MLPClassifier", "MLPRegressor",
           "ModelMetadata", "NodeArg", "OrtValue", "ResourceLimit", "RunOptions", "SessionOptions", "ThreadPool",
           "Unsupported", "VerifyReport", "fold", "get_all_providers", "get_available_providers", "get_device",
           "inspect", "set_default_logger_severity", "verify"]
