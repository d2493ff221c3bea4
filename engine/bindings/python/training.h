// The trainer behind bnrun.MLPClassifier and bnrun.MLPRegressor.
#pragma once

#include <pybind11/pybind11.h>

namespace bnrun::python {

void add_training(pybind11::module_& module);

}  // namespace bnrun::python
