// numpy arrays and tensors. Everything here needs the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "bnrun/model.h"
#include "bnrun/tensor.h"

namespace bnrun::python {

/// Loads numpy's C interface. Call once, before anything else here.
void import_numpy();

/// An array whose elements an engine call reads in place, and what keeps them alive.
struct Borrowed {
  pybind11::object array;  ///< the array given, or a contiguous copy
  Tensor strings;          ///< the elements, where they are text
  TensorView view;
};

/// Views `object`, an array or what numpy makes one of, for an input of this type: without a copy where its
/// elements lie in C order and native byte order. Numbers in lists take the type of the input; bits of bfloat16
/// come as uint16. Throws invalid_input for element types that no tensor has, and for lists of numbers that would not
/// stay what they are: fractions for integers, whole numbers out of range.
Borrowed borrow(PyObject* object, DType wanted, const std::string& name);

/// A writable view of an array in C order. Throws invalid_input for any other object.
MutableTensorView borrow_output(PyObject* object, DType wanted, const std::string& name);

/// Whether the elements of two arrays may lie in one place, as numpy.may_share_memory says.
bool may_share_memory(const pybind11::object& a, const pybind11::object& b);

/// A new array, not initialised. REQUIRES: not strings.
pybind11::object new_array(const TensorType& type);
/// An array over the elements of `tensor`, which it keeps; strings become an array of str.
pybind11::object to_array(Tensor tensor);

/// One dict a row, from labels to elements: how ONNX's sequence of maps looks in Python. `labels` are Python
/// objects, one a column of `array` [rows, labels] or [labels].
pybind11::object to_maps(const pybind11::object& array, const std::vector<pybind11::object>& labels);
std::vector<pybind11::object> to_objects(const Tensor& labels);

/// The name of the numpy type that shows elements of this type, "float32"; "object" for strings.
const char* numpy_name(DType dtype);

}  // namespace bnrun::python
