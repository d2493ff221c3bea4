"""An ONNX backend (onnx.backend.base): `prepare(model).run(inputs)`, for programs and tests that take any backend."""

import contextlib

import numpy as np
from onnx import helper
from onnx.backend.base import Backend, BackendRep, Device, DeviceType, namedtupledict
from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

from . import _errors
from ._session import InferenceSession, SessionOptions


def _element_type(dtype):
    if hasattr(helper, "np_dtype_to_tensor_dtype"):  # from ONNX 1.13
        return helper.np_dtype_to_tensor_dtype(dtype)
    from onnx import mapping
    return mapping.NP_TYPE_TO_TENSOR_TYPE[dtype]


@contextlib.contextmanager
def _what_is_not_implemented():
    try:
        yield
    except _errors.Unsupported as error:
        raise BackendIsNotSupposedToImplementIt(str(error)) from error


class BnrunBackendRep(BackendRep):
    def __init__(self, session):
        self._session = session
        self._names = [entry[0] for entry in session._inputs]
        self._outputs = namedtupledict("Outputs", [entry[0] for entry in session._outputs])

    def run(self, inputs, **kwargs):
        """`inputs`: one array, a list of arrays in the model's order, or a dict by name. Returns a named tuple."""
        if isinstance(inputs, dict):
            feed = inputs
        else:
            arrays = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            feed = {name: np.asarray(array) for name, array in zip(self._names, arrays, strict=False)}
        with _what_is_not_implemented():
            return self._outputs(*self._session.run(None, feed))


class BnrunBackend(Backend):
    @classmethod
    def is_compatible(cls, model, device="CPU", **kwargs):
        try:
            InferenceSession(model.SerializeToString())
        except _errors.Error:
            return False
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        """`model`: an onnx.ModelProto. Raises BackendIsNotSupposedToImplementIt for what the engine lacks."""
        options = SessionOptions()
        for name, value in kwargs.items():
            if hasattr(options, name):
                setattr(options, name, value)
        with _what_is_not_implemented():
            return BnrunBackendRep(InferenceSession(model.SerializeToString(), options))

    @classmethod
    def run_model(cls, model, inputs, device="CPU", **kwargs):
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, **kwargs):
        """Inputs in the order of the node's, which must have a name each."""
        arrays = [np.asarray(array) for array in inputs]
        names = [name for name in node.input if name]
        declared = [helper.make_tensor_value_info(name, _element_type(array.dtype), array.shape)
                    for name, array in zip(names, arrays)]
        results = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], "node", declared, results)
        opsets = kwargs.pop("opset_imports", None)
        if opsets is None:
            opsets = [helper.make_opsetid("", kwargs.pop("opset_version", 13))]
        return cls.run_model(helper.make_model(graph, opset_imports=opsets), arrays, device, **kwargs)

    @classmethod
    def supports_device(cls, device):
        return Device(device).type == DeviceType.CPU


is_compatible = BnrunBackend.is_compatible
prepare = BnrunBackend.prepare
run = BnrunBackend.run_model
run_model = BnrunBackend.run_model
run_node = BnrunBackend.run_node
supports_device = BnrunBackend.supports_device
