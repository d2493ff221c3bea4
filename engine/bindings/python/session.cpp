#include "bindings/python/session.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/arrays.h"
#include "bindings/python/errors.h"
#include "bindings/python/models.h"
#include "bindings/python/text.h"
#include "bnrun/error.h"
#include "bnrun/session.h"

namespace bnrun::python {
namespace {

namespace py = pybind11;

/// An input or output as calls need it.
struct Port {
  py::object name;  ///< interned
  std::string text;
  DType dtype;
  std::vector<py::object> labels;  ///< of a sequence of maps
};

/// What a Python object of the type owns. Used with the GIL, which a run gives back.
struct State {
  Session session;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  /// Types of the inputs of the last run, and of its outputs; none where these depend on data or are strings.
  std::vector<TensorType> last_inputs{};
  std::vector<TensorType> last_outputs{};

  explicit State(Session made) : session(std::move(made)) {
    add_ports(session.inputs(), inputs);
    add_ports(session.outputs(), outputs);
  }

 private:
  static void add_ports(const std::vector<PortInfo>& infos, std::vector<Port>& ports) {
    for (const PortInfo& info : infos) {
      PyObject* name = to_text(info.name).release().ptr();
      PyUnicode_InternInPlace(&name);
      std::vector<py::object> labels;
      if (info.labels.defined()) labels = to_objects(info.labels);
      ports.push_back({py::reinterpret_steal<py::object>(name), info.name, info.dtype, std::move(labels)});
    }
  }
};

struct Object {
  PyObject_HEAD State* state;
};

PyTypeObject* type = nullptr;  ///< made once, when the module is

State& state_of(PyObject* self) {
  if (!PyObject_TypeCheck(self, type)) throw py::type_error("not a Session");
  State* state = reinterpret_cast<Object*>(self)->state;
  if (state == nullptr) throw Error(ErrorCode::invalid_input, "the session has not been made");
  return *state;
}

/// Calls `body`, whose exceptions become Python's.
template <class Body>
PyObject* guarded(Body&& body) {
  try {
    return body();
  } catch (...) {
    set_error(std::current_exception());
    return nullptr;
  }
}

std::string names_of(const std::vector<Port>& ports) {
  std::string names;
  for (const Port& port : ports) names += (names.empty() ? "'" : ", '") + port.text + "'";
  return names;
}

std::size_t find(const std::vector<Port>& ports, PyObject* name, const char* what) {
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].name.ptr() == name) return i;
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].name.equal(py::handle(name))) return i;
  }
  throw Error(ErrorCode::invalid_input, std::string("the model has no ") + what + " '" +
                                            from_text(py::str(py::handle(name)), "its name") + "', it has " +
                                            names_of(ports));
}

/// Into Python at each step of a run; see RunOptions in _session.py.
RunOptions options_of(PyObject* given) {
  if (given == nullptr || given == Py_None) return {};
  return {.progress = [given](double done) {
    const py::gil_scoped_acquire gil;
    py::handle(given).attr("_step")(done);
  }};
}

/// One call of a session on inputs and, where given, output arrays in model order.
class Call {
 public:
  explicit Call(State& state) : state_(state), views_(state.inputs.size()), arrays_(state.outputs.size()) {
    given_.reserve(state.inputs.size());
  }

  void set_input(std::size_t i, PyObject* object) {
    if (object == nullptr || object == Py_None) return;
    given_.push_back(borrow(object, state_.inputs[i].dtype, state_.inputs[i].text));
    views_[i] = given_.back().view;
  }
  void set_output(std::size_t i, PyObject* object) {
    if (object == nullptr || object == Py_None) return;
    arrays_[i] = py::reinterpret_borrow<py::object>(object);
  }

  void run(const RunOptions& options) {
    plan();
    if (state_.last_outputs.size() == arrays_.size())
      run_in_place(options);
    else
      run_and_copy(options);
  }

  py::object take(std::size_t i) const {
    const auto& labels = state_.outputs[i].labels;
    return labels.empty() ? arrays_[i] : to_maps(arrays_[i], labels);
  }

 private:
  /// Sees to it that last_outputs belongs to these inputs.
  void plan() {
    auto& last = state_.last_inputs;
    const bool same =
        last.size() == views_.size() &&
        std::equal(last.begin(), last.end(), views_.begin(), [](const auto& type, const auto& view) {
          return type.dtype == view.dtype && type.shape == view.shape;
        });
    if (same) return;
    last.clear();
    state_.last_outputs.clear();
    try {
      state_.last_outputs = state_.session.output_types(views_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported) throw;
    }
    const bool text = std::ranges::any_of(state_.last_outputs,
                                          [](const TensorType& type) { return type.dtype == DType::string; });
    if (text) state_.last_outputs.clear();
    for (const TensorView& view : views_) last.push_back(view.type());
  }

  void run_in_place(const RunOptions& options) {
    std::vector<MutableTensorView> outputs;
    outputs.reserve(arrays_.size());
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      const TensorType& type = state_.last_outputs[i];
      if (!arrays_[i]) arrays_[i] = new_array(type);
      outputs.push_back(borrow_output(arrays_[i].ptr(), type.dtype, state_.outputs[i].text));
    }
    const py::gil_scoped_release no_gil;
    state_.session.run(views_, outputs, options);
  }

  void run_and_copy(const RunOptions& options) {
    check_buffers();
    std::vector<Tensor> tensors;
    {
      const py::gil_scoped_release no_gil;
      tensors = state_.session.run(views_, options);
    }
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      py::object result = to_array(std::move(tensors[i]));
      if (!arrays_[i])
        arrays_[i] = std::move(result);
      else
        copy(result, i);
    }
  }

  /// Throws invalid_input for two outputs in one buffer, where the engine sees none.
  void check_buffers() const {
    for (std::size_t i = 0; i < arrays_.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k) {
        if (arrays_[i] && arrays_[k] && may_share_memory(arrays_[i], arrays_[k]))
          throw Error(ErrorCode::invalid_input, "output '" + state_.outputs[i].text +
                                                    "' shares memory with output '" + state_.outputs[k].text +
                                                    "': give it a buffer of its own");
      }
    }
  }

  void copy(const py::object& result, std::size_t i) const {
    for (const char* what : {"shape", "dtype"}) {
      if (!arrays_[i].attr(what).equal(result.attr(what)))
        throw Error(ErrorCode::invalid_input, "output '" + state_.outputs[i].text + "' has " + what + " " +
                                                  std::string(py::str(result.attr(what))) +
                                                  ", the buffer given " +
                                                  std::string(py::str(arrays_[i].attr(what))));
    }
    arrays_[i][py::ellipsis()] = result;
  }

  State& state_;
  std::vector<Borrowed> given_;
  std::vector<TensorView> views_;
  std::vector<py::object> arrays_;
};

void set_feed(Call& call, const State& state, PyObject* feed) {
  if (!PyDict_Check(feed))
    throw Error(ErrorCode::invalid_input, "the inputs must be a dict from name to array");
  Py_ssize_t used = 0;
  for (std::size_t i = 0; i < state.inputs.size(); ++i) {
    // Held: what an object does to become an array may take it out of the dict.
    const auto object =
        py::reinterpret_borrow<py::object>(PyDict_GetItemWithError(feed, state.inputs[i].name.ptr()));
    if (!object && PyErr_Occurred()) throw py::error_already_set();
    used += object ? 1 : 0;
    call.set_input(i, object.ptr());
  }
  if (used == PyDict_GET_SIZE(feed)) return;
  Py_ssize_t position = 0;
  PyObject* name = nullptr;
  while (PyDict_Next(feed, &position, &name, nullptr)) find(state.inputs, name, "input");
}

/// Positions of the outputs asked for; none for all. Iterates over `names` once, as a generator allows.
std::vector<std::size_t> find_outputs(const State& state, PyObject* names) {
  std::vector<std::size_t> wanted;
  if (names == Py_None) return wanted;
  for (const py::handle name : py::list(py::reinterpret_borrow<py::object>(names)))
    wanted.push_back(find(state.outputs, name.ptr(), "output"));
  return wanted;
}

PyObject* take_outputs(const Call& call, const State& state, const std::vector<std::size_t>& wanted) {
  const std::size_t count = wanted.empty() ? state.outputs.size() : wanted.size();
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(count));
  if (list == nullptr) throw py::error_already_set();
  auto owner = py::reinterpret_steal<py::object>(list);
  for (std::size_t i = 0; i < count; ++i)
    PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i),
                    call.take(wanted.empty() ? i : wanted[i]).release().ptr());
  return owner.release().ptr();
}

/// run(output_names, input_feed, run_options=None)
PyObject* run(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  return guarded([&] {
    State& state = state_of(self);
    PyObject* given[3] = {};
    static constexpr const char* kNames[] = {"output_names", "input_feed", "run_options"};
    if (count > 3) throw py::type_error("run() takes at most 3 arguments");
    std::copy(args, args + count, given);
    for (Py_ssize_t i = 0; keywords != nullptr && i < PyTuple_GET_SIZE(keywords); ++i) {
      const auto which = std::find_if(std::begin(kNames), std::end(kNames), [&](const char* name) {
        return PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, i), name) == 0;
      });
      if (which == std::end(kNames) || given[which - kNames] != nullptr)
        throw py::type_error("run() takes output_names, input_feed and run_options, each once");
      given[which - kNames] = args[count + i];
    }
    if (given[0] == nullptr || given[1] == nullptr)
      throw py::type_error("run() needs output_names (or None) and input_feed");
    Call call(state);
    set_feed(call, state, given[1]);
    const auto wanted = find_outputs(state, given[0]);
    call.run(options_of(given[2]));
    return take_outputs(call, state, wanted);
  });
}

/// run_into(inputs, outputs, run_options=None): sequences in model order, None where an input keeps its default
/// or an output is to be made.
PyObject* run_into(PyObject* self, PyObject* args) {
  return guarded([&] {
    State& state = state_of(self);
    PyObject* inputs = nullptr;
    PyObject* outputs = nullptr;
    PyObject* options = nullptr;
    if (!PyArg_ParseTuple(args, "OO|O", &inputs, &outputs, &options)) throw py::error_already_set();
    Call call(state);
    const auto in = py::list(py::reinterpret_borrow<py::object>(inputs));
    const auto out = py::list(py::reinterpret_borrow<py::object>(outputs));
    if (in.size() != state.inputs.size() || out.size() != state.outputs.size())
      throw Error(ErrorCode::invalid_input, "the model has " + std::to_string(state.inputs.size()) +
                                                " inputs and " + std::to_string(state.outputs.size()) +
                                                " outputs");
    for (std::size_t i = 0; i < in.size(); ++i) call.set_input(i, in[i].ptr());
    for (std::size_t i = 0; i < out.size(); ++i) call.set_output(i, out[i].ptr());
    call.run(options_of(options));
    return take_outputs(call, state, {});
  });
}

/// Session(model, options): a path, or the bytes of a model; a dict as _session.py makes it.
int init(PyObject* self, PyObject* args, PyObject* keywords) {
  const auto made = guarded([&]() -> PyObject* {
    PyObject* source = nullptr;
    PyObject* options = nullptr;
    static const char* names[] = {"model", "options", nullptr};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO", const_cast<char**>(names), &source, &options))
      throw py::error_already_set();
    const auto dict = py::reinterpret_borrow<py::dict>(options);
    SessionOptions session_options;
    session_options.threads = option<int>(dict, "threads");
    session_options.fold.reset();
    if (!dict["fold"].is_none()) session_options.fold = fold_options_of(option<py::dict>(dict, "fold"));
    const bool blas = option<bool>(dict, "blas");
    const bool fast = option<bool>(dict, "fast");
    if (blas && fast)
      throw Error(ErrorCode::invalid_input, "options 'blas' and 'fast' are both set: choose one");
    if (blas) session_options.kernels = Kernels::blas;
    if (fast) session_options.kernels = Kernels::fast;
    if (!dict["pool"].is_none())
      session_options.pool = option<std::shared_ptr<PoolHandle>>(dict, "pool")->pool;
    ModelSource model(py::reinterpret_borrow<py::object>(source));
    std::optional<Session> session;
    {
      const py::gil_scoped_release no_gil;
      session.emplace(model.load(), session_options);
    }
    auto*& state = reinterpret_cast<Object*>(self)->state;
    if (state != nullptr) throw Error(ErrorCode::invalid_input, "the session has been made already");
    state = new State(std::move(*session));
    Py_RETURN_NONE;
  });
  Py_XDECREF(made);
  return made == nullptr ? -1 : 0;
}

void deallocate(PyObject* self) {
  delete reinterpret_cast<Object*>(self)->state;
  PyTypeObject* own = Py_TYPE(self);
  own->tp_free(self);
  Py_DECREF(own);
}

py::object shape_of(const PortInfo& port) {
  if (port.labels.defined()) return py::list();
  if (!port.dims) return py::none();
  py::list shape;
  for (const DimInfo& dim : *port.dims) {
    if (dim.extent)
      shape.append(*dim.extent);
    else if (dim.symbol != "?")
      shape.append(to_text(dim.symbol));
    else
      shape.append(py::none());
  }
  return shape;
}

/// As ONNX writes a type in text.
std::string type_of(const PortInfo& port) {
  std::string element(name_of(port.dtype));
  if (port.dtype == DType::float32) element = "float";
  if (port.dtype == DType::float64) element = "double";
  const std::string tensor = "tensor(" + element + ")";
  if (!port.labels.defined()) return tensor;
  return "seq(map(" + std::string(name_of(port.labels.dtype())) + "," + tensor + "))";
}

py::list describe(const std::vector<PortInfo>& infos, const std::vector<Port>& ports) {
  py::list list;
  for (std::size_t i = 0; i < infos.size(); ++i)
    list.append(py::make_tuple(ports[i].name, shape_of(infos[i]), type_of(infos[i]), infos[i].optional,
                               numpy_name(infos[i].dtype)));
  return list;
}

PyTypeObject* make_type() {
  static PyMethodDef methods[] = {
      {"run", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&run)), METH_FASTCALL | METH_KEYWORDS,
       "run(output_names, input_feed, run_options=None)\n--\n\n"
       "Outputs as a list of arrays: those named, or all in model order for None."},
      {"run_into", &run_into, METH_VARARGS,
       "run_into(inputs, outputs, run_options=None)\n--\n\n"
       "Runs on arrays in model order into arrays of the caller; None where one is to be made."},
      {}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(&PyType_GenericNew)},
                                {Py_tp_init, reinterpret_cast<void*>(&init)},
                                {Py_tp_dealloc, reinterpret_cast<void*>(&deallocate)},
                                {Py_tp_methods, methods},
                                {0, nullptr}};
  static PyType_Spec spec = {"bnrun._engine.Session", sizeof(Object), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  PyObject* made = PyType_FromSpec(&spec);
  if (made == nullptr) throw py::error_already_set();
  return reinterpret_cast<PyTypeObject*>(made);
}

}  // namespace

void add_session(py::module_& module) {
  type = make_type();
  module.add_object("Session", reinterpret_cast<PyObject*>(type));
  const auto state = [](const py::object& self) -> State& { return state_of(self.ptr()); };
  module.def("inputs", [=](const py::object& self) {
    return describe(state(self).session.inputs(), state(self).inputs);
  });
  module.def("outputs", [=](const py::object& self) {
    return describe(state(self).session.outputs(), state(self).outputs);
  });
  module.def("metadata", [=](const py::object& self) { return dict_of(state(self).session.metadata()); });
  module.def("class_names",
             [=](const py::object& self) { return to_texts(state(self).session.class_names()); });
  module.def("threads", [=](const py::object& self) { return state(self).session.threads(); });
  module.def("fold_report",
             [=](const py::object& self) { return dict_of(state(self).session.fold_report()); });
  py::class_<PoolHandle, std::shared_ptr<PoolHandle>>(module, "ThreadPool").def(py::init([](int threads) {
    return std::make_shared<PoolHandle>(PoolHandle{make_thread_pool(threads)});
  }));
}

}  // namespace bnrun::python
