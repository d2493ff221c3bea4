// bnrun._engine: what the Python package bnrun is made of.
#include <pybind11/pybind11.h>

#include "bindings/python/arrays.h"
#include "bindings/python/errors.h"
#include "bindings/python/models.h"
#include "bindings/python/session.h"
#include "bindings/python/training.h"
#include "bnrun/version.h"

PYBIND11_MODULE(_engine, module) {
  namespace python = bnrun::python;
  python::import_numpy();
  python::register_errors();
  module.attr("version") = BNRUN_VERSION;
  python::add_session(module);
  python::add_models(module);
  python::add_training(module);
}
