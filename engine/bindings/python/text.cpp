#include "bindings/python/text.h"

namespace bnrun::python {

namespace py = pybind11;

py::str to_text(std::string_view bytes) {
  PyObject* text =
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogateescape");
  if (text == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(text);
}

py::list to_texts(const std::vector<std::string>& list) {
  py::list texts;
  for (const std::string& bytes : list) texts.append(to_text(bytes));
  return texts;
}

std::string from_text(py::handle text, const std::string& what) {
  if (!PyUnicode_Check(text.ptr()))
    throw Error(ErrorCode::invalid_input,
                what + " is of type " + Py_TYPE(text.ptr())->tp_name + ", not text");
  const auto bytes =
      py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogateescape"));
  if (!bytes) {
    PyErr_Clear();
    throw Error(ErrorCode::invalid_input, what + " holds a surrogate that stands for no byte");
  }
  return bytes;
}

std::vector<std::string> from_texts(py::handle list, const std::string& what) {
  if (PyUnicode_Check(list.ptr())) return {from_text(list, what)};
  std::vector<std::string> texts;
  for (const py::handle text : list) texts.push_back(from_text(text, what));
  return texts;
}

std::filesystem::path to_path(py::handle path) {
  return std::string(py::module_::import("os").attr("fsencode")(path).cast<py::bytes>());
}

}  // namespace bnrun::python
