#include "bindings/python/errors.h"

#include <new>
#include <string_view>

#include "bindings/python/text.h"
#include "bnrun/error.h"

namespace bnrun::python {
namespace {

namespace py = pybind11;

const char* class_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_model:
      return "InvalidModel";
    case ErrorCode::unsupported:
      return "Unsupported";
    case ErrorCode::invalid_input:
      return "InvalidInput";
    case ErrorCode::resource_limit:
      return "ResourceLimit";
    case ErrorCode::io:
      return "InputOutput";
    case ErrorCode::internal:
      break;
  }
  return "Internal";
}

void set_python_error(const char* name, std::string_view message) {
  try {
    const py::object type = py::module_::import("bnrun._errors").attr(name);
    PyErr_SetObject(type.ptr(), to_text(message).ptr());
  } catch (py::error_already_set& error) {
    error.restore();
  }
}

}  // namespace

void set_error(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::builtin_exception& error) {
    error.set_error();
  } catch (const Error& error) {
    set_python_error(class_of(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    set_python_error("ResourceLimit", "out of memory");
  } catch (const std::exception& error) {
    set_python_error("Internal", error.what());
  }
}

void register_errors() {
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error&) {
      set_error(thrown);
    }
  });
}

}  // namespace bnrun::python
