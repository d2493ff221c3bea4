// What the engine throws, as Python exceptions.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>

namespace bnrun::python {

/// Binds the classes of bnrun._errors, one for each ErrorCode, to what pybind11 functions throw.
void register_errors();

/// Makes `thrown` the current Python exception. REQUIRES: the GIL.
void set_error(const std::exception_ptr& thrown);

}  // namespace bnrun::python
