"""InferenceSession and what belongs to it, called as onnxruntime's are."""

import ctypes
import enum
import os

import numpy as np

from . import _engine
from ._errors import Cancelled, InvalidInput
from ._reports import FoldReport

PROVIDERS = ["CPUExecutionProvider"]


class GraphOptimizationLevel(enum.IntEnum):
    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class SessionOptions:
    """How a session runs. intra_op_num_threads threads share a run (0: as many as the process may use). `fold` is a dict
    of folding's options, or None for not at all; ORT_DISABLE_ALL switches it off too. `thread_pool` is shared with other
    sessions. `blas` multiplies matrices by OpenBLAS; `fast` takes kernels that round otherwise within a bound that
    docs/speed-images.md states. What else onnxruntime knows is taken and means nothing here."""

    def __init__(self):
        self.intra_op_num_threads = 1
        self.fold = {}
        self.blas = False
        self.fast = False
        self.thread_pool = None
        self.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.inter_op_num_threads = 0
        self.execution_mode = ExecutionMode.ORT_SEQUENTIAL
        self.enable_cpu_mem_arena = True
        self.enable_mem_pattern = True
        self.enable_mem_reuse = True
        self.enable_profiling = False
        self.log_severity_level = 2
        self.log_verbosity_level = 0
        self.logid = ""
        self.use_deterministic_compute = True
        self._entries = {}

    def add_session_config_entry(self, key, value):
        self._entries[key] = value

    def get_session_config_entry(self, key):
        return self._entries[key]

    def _for_engine(self):
        off = self.graph_optimization_level == GraphOptimizationLevel.ORT_DISABLE_ALL
        return {"threads": self.intra_op_num_threads, "fold": None if off else self.fold, "blas": self.blas,
                "fast": self.fast, "pool": self.thread_pool}

    def __getstate__(self):
        return {**self.__dict__, "thread_pool": None}  # threads belong to one process


class RunOptions:
    """Of one run. Another thread sets `terminate` to end it with `Cancelled`; `progress` is called with the fraction done,
    and what it raises ends the run."""

    def __init__(self):
        self.terminate = False
        self.progress = None
        self.logid = ""
        self.log_severity_level = 2
        self.log_verbosity_level = 0
        self.only_execute_path_to_fetches = False

    def _step(self, done):
        if self.terminate:
            raise Cancelled("the run was cancelled: RunOptions.terminate is set")
        if self.progress is not None:
            self.progress(done)


class NodeArg:
    """An input or output: `name`, `shape` (numbers, names of dynamic dimensions, None without name), `type`."""

    __slots__ = ("name", "shape", "type")

    def __init__(self, name, shape, type):  # noqa: A002, as onnxruntime calls it
        self.name, self.shape, self.type = name, shape, type

    def __repr__(self):
        return f"NodeArg(name={self.name!r}, type={self.type!r}, shape={self.shape})"

    __str__ = __repr__


class ModelMetadata:
    """What the file says of itself."""

    def __init__(self, entries):
        self.producer_name = entries["producer_name"]
        self.graph_name = entries["graph_name"]
        self.domain = entries["domain"]
        self.description = entries["description"]
        self.graph_description = ""
        self.version = entries["version"]
        self.custom_metadata_map = entries["custom_metadata_map"]


class InferenceSession(_engine.Session):
    """A model, folded and compiled: `run(None, {"x": x})` returns its outputs. `path_or_bytes` is a path or the bytes of an
    .onnx file. A session may run in any number of threads at once; a run gives the interpreter to others. A pickled session
    holds its bytes, or the path it was made from."""

    def __init__(self, path_or_bytes, sess_options=None, providers=None, provider_options=None, **ignored):
        options = sess_options if sess_options is not None else SessionOptions()
        if isinstance(path_or_bytes, (bytearray, memoryview)):
            path_or_bytes = bytes(path_or_bytes)
        elif not isinstance(path_or_bytes, bytes):
            path_or_bytes = os.path.abspath(os.fsdecode(path_or_bytes))
        super().__init__(path_or_bytes, options._for_engine())
        self._source, self._options = path_or_bytes, options
        self._inputs, self._outputs = _engine.inputs(self), _engine.outputs(self)

    def __reduce__(self):
        return type(self), (self._source, self._options)

    def get_inputs(self):
        return [NodeArg(name, shape, type) for name, shape, type, optional, _ in self._inputs if not optional]

    def get_overridable_initializers(self):
        return [NodeArg(name, shape, type) for name, shape, type, optional, _ in self._inputs if optional]

    def get_outputs(self):
        return [NodeArg(name, shape, type) for name, shape, type, _, _ in self._outputs]

    def get_modelmeta(self):
        return ModelMetadata(_engine.metadata(self))

    def get_session_options(self):
        return self._options

    def get_providers(self):
        return list(PROVIDERS)

    def get_provider_options(self):
        return {name: {} for name in PROVIDERS}

    def set_providers(self, providers=None, provider_options=None):
        """There is one provider; it stays."""

    def disable_fallback(self):
        """There is nothing to fall back to."""

    enable_fallback = disable_fallback

    @property
    def fold_report(self):
        """What became of each BatchNormalization when the model was loaded."""
        return FoldReport(_engine.fold_report(self))

    @property
    def class_names(self):
        """What the classes of a classifier are called, in the order of its columns; empty when the model does not say."""
        return _engine.class_names(self)

    def run_with_ort_values(self, output_names, input_dict_ort_values, run_options=None):
        feed = {name: value.numpy() for name, value in input_dict_ort_values.items()}
        return [OrtValue(array) for array in self.run(output_names, feed, run_options)]

    def io_binding(self):
        return IOBinding(self)

    def run_with_iobinding(self, iobinding, run_options=None):
        iobinding._run(run_options)


class OrtValue:
    """A tensor that is passed without copies. Made by `ortvalue_from_numpy`."""

    def __init__(self, array):
        self._array = array

    @staticmethod
    def ortvalue_from_numpy(numpy_obj, device_type="cpu", device_id=0):
        _check_device(device_type)
        return OrtValue(np.array(numpy_obj, order="C", copy=True))

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        _check_device(device_type)
        return OrtValue(np.zeros(shape, element_type))

    def numpy(self):
        return self._array

    def shape(self):
        return list(self._array.shape)

    def data_type(self):
        names = {"float32": "float", "float64": "double", "object": "string"}
        return f"tensor({names.get(self._array.dtype.name, self._array.dtype.name)})"

    def element_type(self):
        return self._array.dtype

    def device_name(self):
        return "cpu"

    def data_ptr(self):
        return self._array.ctypes.data

    def is_tensor(self):
        return isinstance(self._array, np.ndarray)

    def has_value(self):
        return True

    def update_inplace(self, np_arr):
        self._array[...] = np_arr


class IOBinding:
    """Inputs and outputs of runs to come, bound to the caller's memory. The arrays bound are kept; memory bound by its
    address is the caller's to keep."""

    def __init__(self, session):
        self._session = session
        self._input_at = {entry[0]: i for i, entry in enumerate(session._inputs)}
        self._output_at = {entry[0]: i for i, entry in enumerate(session._outputs)}
        self.clear_binding_inputs()
        self.clear_binding_outputs()

    def clear_binding_inputs(self):
        self._inputs = [None] * len(self._input_at)

    def clear_binding_outputs(self):
        self._buffers = [None] * len(self._output_at)
        self._results = [None] * len(self._output_at)
        self._bound = []

    def bind_cpu_input(self, name, arr_on_cpu):
        self._inputs[_position(self._input_at, name, "input")] = arr_on_cpu

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        _check_device(device_type)
        self.bind_cpu_input(name, _memory(buffer_ptr, element_type, shape))

    def bind_ortvalue_input(self, name, ortvalue):
        self.bind_cpu_input(name, ortvalue.numpy())

    def bind_output(self, name, device_type="cpu", device_id=0, element_type=None, shape=None, buffer_ptr=None):
        """Without `buffer_ptr` each run makes the output anew."""
        _check_device(device_type)
        self._bind(name, None if buffer_ptr is None else _memory(buffer_ptr, element_type, shape))

    def bind_ortvalue_output(self, name, ortvalue):
        self._bind(name, ortvalue.numpy())

    def _bind(self, name, buffer):
        at = _position(self._output_at, name, "output")
        self._buffers[at] = buffer
        if at not in self._bound:
            self._bound.append(at)

    def synchronize_inputs(self):
        """Memory of the CPU is always up to date."""

    synchronize_outputs = synchronize_inputs

    def get_outputs(self):
        """As OrtValues, in the order in which they were bound."""
        return [OrtValue(self._results[at]) for at in self._bound]

    def copy_outputs_to_cpu(self):
        return [self._results[at] for at in self._bound]

    def _run(self, run_options):
        self._results = self._session.run_into(self._inputs, self._buffers, run_options)


def _position(positions, name, what):
    if name not in positions:
        raise InvalidInput(f"the model has no {what} '{name}', it has {', '.join(map(repr, positions))}")
    return positions[name]


def _check_device(device_type):
    if device_type not in ("cpu", "cpu_pinned"):
        raise InvalidInput(f"there is no device '{device_type}' here, only 'cpu'")


def _memory(address, element_type, shape):
    if not address:
        raise InvalidInput("the buffer is a null pointer")
    dtype = np.dtype(element_type)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.frombuffer((ctypes.c_byte * size).from_address(address), dtype).reshape(tuple(shape))
