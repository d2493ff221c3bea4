// _engine.Session: a bnrun::Session as a Python type of its own, since what pybind11 does per call would take longer
// than a run of a small network.
#pragma once

#include <pybind11/pybind11.h>

namespace bnrun::python {

/// Adds the type and what tells of a session to the module. Throws py::error_already_set.
void add_session(pybind11::module_& module);

}  // namespace bnrun::python
