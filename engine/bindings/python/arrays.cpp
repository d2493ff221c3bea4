#include "bindings/python/arrays.h"

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>

#include <memory>
#include <string>
#include <utility>

#include "bindings/python/text.h"
#include "bnrun/error.h"

namespace bnrun::python {
namespace {

namespace py = pybind11;

[[noreturn]] void fail(const std::string& message) {
  throw Error(ErrorCode::invalid_input, message);
}

/// DType::undefined for what no tensor holds. Text and objects are strings.
DType dtype_of_array(PyArrayObject* array) {
  const int type = PyArray_TYPE(array);
  switch (type) {
    case NPY_FLOAT:
      return DType::float32;
    case NPY_DOUBLE:
      return DType::float64;
    case NPY_HALF:
      return DType::float16;
    case NPY_BOOL:
      return DType::boolean;
    case NPY_CFLOAT:
      return DType::complex64;
    case NPY_CDOUBLE:
      return DType::complex128;
    case NPY_OBJECT:
    case NPY_UNICODE:
    case NPY_STRING:
      return DType::string;
    default:
      break;
  }
  if (!PyTypeNum_ISINTEGER(type)) return DType::undefined;
  const bool is_signed = PyTypeNum_ISSIGNED(type);
  switch (PyArray_ITEMSIZE(array)) {
    case 1:
      return is_signed ? DType::int8 : DType::uint8;
    case 2:
      return is_signed ? DType::int16 : DType::uint16;
    case 4:
      return is_signed ? DType::int32 : DType::uint32;
    default:
      return is_signed ? DType::int64 : DType::uint64;
  }
}

int type_number(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return NPY_FLOAT;
    case DType::float64:
      return NPY_DOUBLE;
    case DType::float16:
      return NPY_HALF;
    case DType::boolean:
      return NPY_BOOL;
    case DType::int8:
      return NPY_INT8;
    case DType::uint8:
      return NPY_UINT8;
    case DType::int16:
      return NPY_INT16;
    case DType::uint16:
    case DType::bfloat16:  // numpy has none: its bits
      return NPY_UINT16;
    case DType::int32:
      return NPY_INT32;
    case DType::uint32:
      return NPY_UINT32;
    case DType::int64:
      return NPY_INT64;
    case DType::uint64:
      return NPY_UINT64;
    case DType::complex64:
      return NPY_CFLOAT;
    case DType::complex128:
      return NPY_CDOUBLE;
    case DType::string:
    case DType::undefined:
      break;
  }
  return NPY_OBJECT;
}

Shape shape_of(PyArrayObject* array, const std::string& name) {
  static_assert(sizeof(npy_intp) == sizeof(std::int64_t));
  const auto rank = static_cast<std::size_t>(PyArray_NDIM(array));
  if (rank > Shape::kMaxRank)
    fail("input '" + name + "' has " + std::to_string(rank) + " dimensions, more than " +
         std::to_string(Shape::kMaxRank));
  Shape shape = Shape::filled(rank, 0);
  for (std::size_t i = 0; i < rank; ++i) shape[i] = PyArray_DIMS(array)[i];
  return shape;
}

std::string text_of(PyObject* item, const std::string& name) {
  if (PyBytes_Check(item)) return {PyBytes_AS_STRING(item), static_cast<std::size_t>(PyBytes_GET_SIZE(item))};
  if (!PyUnicode_Check(item))
    fail("input '" + name + "' holds an object of type " + Py_TYPE(item)->tp_name +
         ": neither text nor numbers");
  return from_text(item, "a text of input '" + name + "'");
}

Tensor read_strings(PyArrayObject* array, const std::string& name) {
  Tensor tensor(DType::string, shape_of(array, name));
  std::string* out = tensor.mutable_data<std::string>();
  const auto iterator =
      py::reinterpret_steal<py::object>(PyArray_IterNew(reinterpret_cast<PyObject*>(array)));
  if (!iterator) throw py::error_already_set();
  while (PyObject* next = PyIter_Next(iterator.ptr())) {
    const auto item = py::reinterpret_steal<py::object>(next);
    *out++ = text_of(item.ptr(), name);
  }
  if (PyErr_Occurred()) throw py::error_already_set();
  return tensor;
}

bool is_whole(PyArrayObject* array) {
  return PyArray_ISINTEGER(array) || PyArray_ISBOOL(array);
}

/// Numbers of a list in the type of the input: whole numbers where that holds them all, others where the kind stays.
/// Text and what is no number are returned as they are.
py::object with_type(py::object numbers, DType wanted, const std::string& name) {
  auto* array = reinterpret_cast<PyArrayObject*>(numbers.ptr());
  const int number = type_number(wanted);
  if (PyArray_TYPE(array) == number || !(PyArray_ISNUMBER(array) || PyArray_ISBOOL(array))) return numbers;
  const auto type =
      py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyArray_DescrFromType(number)));
  const bool both_whole = is_whole(array) && (PyTypeNum_ISINTEGER(number) || PyTypeNum_ISBOOL(number));
  const bool of_kind =
      both_whole || PyArray_SIZE(array) == 0 ||  // numpy calls an empty list float64
      PyArray_CanCastTypeTo(PyArray_DESCR(array), reinterpret_cast<PyArray_Descr*>(type.ptr()),
                            NPY_SAME_KIND_CASTING) != 0;
  const py::object result = of_kind ? py::object(numbers.attr("astype")(type)) : py::none();
  const bool kept = of_kind && (!both_whole || bool(py::bool_(result.attr("__eq__")(numbers).attr("all")())));
  if (!kept)
    fail("input '" + name + "' holds " + std::string(name_of(wanted)) + ", into which " +
         from_text(py::str(numbers.attr("dtype")), "a type") + " numbers given do not go unchanged");
  return result;
}

/// An array of `object`, in C order, aligned and in native byte order.
py::object as_array(PyObject* object, DType wanted, const std::string& name) {
  const bool takes_any_type = PyList_Check(object) || PyTuple_Check(object) || PyFloat_CheckExact(object) ||
                              PyLong_CheckExact(object) || PyBool_Check(object);
  // numpy would make one length of texts of several.
  PyArray_Descr* descr =
      takes_any_type && wanted == DType::string ? PyArray_DescrFromType(NPY_OBJECT) : nullptr;
  auto array = py::reinterpret_steal<py::object>(
      PyArray_CheckFromAny(object, descr, 0, 0, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED, nullptr));
  if (!array) throw py::error_already_set();
  const bool converts = takes_any_type && wanted != DType::string && wanted != DType::undefined;
  return converts ? with_type(std::move(array), wanted, name) : array;
}

TensorView view_of(PyArrayObject* array, DType dtype, const std::string& name) {
  return {dtype, shape_of(array, name), PyArray_DATA(array)};
}

}  // namespace

void import_numpy() {
  if (_import_array() < 0) throw py::error_already_set();
}

Borrowed borrow(PyObject* object, DType wanted, const std::string& name) {
  Borrowed result;
  const bool in_place =
      PyArray_Check(object) && PyArray_ISCARRAY_RO(reinterpret_cast<PyArrayObject*>(object));
  result.array = in_place ? py::reinterpret_borrow<py::object>(object) : as_array(object, wanted, name);
  auto* array = reinterpret_cast<PyArrayObject*>(result.array.ptr());
  DType dtype = dtype_of_array(array);
  if (dtype == DType::undefined) {
    const auto type =
        py::str(py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(PyArray_DESCR(array))));
    fail("input '" + name + "' holds elements of type " + std::string(type) + ", which no tensor has");
  }
  if (dtype == DType::string) {
    result.strings = read_strings(array, name);
    result.view = result.strings.view();
    return result;
  }
  if (dtype == DType::uint16 && wanted == DType::bfloat16) dtype = DType::bfloat16;
  result.view = view_of(array, dtype, name);
  return result;
}

MutableTensorView borrow_output(PyObject* object, DType wanted, const std::string& name) {
  auto* array = reinterpret_cast<PyArrayObject*>(object);
  if (!PyArray_Check(object) || !PyArray_ISCARRAY(array))
    fail("the buffer of output '" + name + "' must be a writable array in C order");
  DType dtype = dtype_of_array(array);
  if (dtype == DType::uint16 && wanted == DType::bfloat16) dtype = DType::bfloat16;
  return {dtype, shape_of(array, name), PyArray_DATA(array)};
}

bool may_share_memory(const py::object& a, const py::object& b) {
  return py::module_::import("numpy").attr("may_share_memory")(a, b).cast<bool>();
}

py::object new_array(const TensorType& type) {
  npy_intp dims[Shape::kMaxRank];
  std::copy(type.shape.begin(), type.shape.end(), dims);
  auto array = py::reinterpret_steal<py::object>(
      PyArray_SimpleNew(static_cast<int>(type.shape.rank()), dims, type_number(type.dtype)));
  if (!array) throw py::error_already_set();
  return array;
}

py::object to_array(Tensor tensor) {
  if (tensor.dtype() == DType::string) {
    py::object array = new_array(tensor.type());
    auto** out = static_cast<PyObject**>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(array.ptr())));
    for (const py::object& text : to_objects(tensor)) {
      Py_XDECREF(*out);
      *out++ = py::object(text).release().ptr();
    }
    return array;
  }
  npy_intp dims[Shape::kMaxRank];
  std::copy(tensor.shape().begin(), tensor.shape().end(), dims);
  const DType dtype = tensor.dtype();
  const auto rank = static_cast<int>(tensor.shape().rank());
  auto owner = std::make_unique<Tensor>(std::move(tensor));
  void* bytes = owner->mutable_view().bytes;
  py::capsule keeper(owner.get(), [](void* kept) { delete static_cast<Tensor*>(kept); });
  owner.release();
  if (bytes == nullptr) return new_array(static_cast<const Tensor*>(keeper.get_pointer())->type());
  auto array =
      py::reinterpret_steal<py::object>(PyArray_SimpleNewFromData(rank, dims, type_number(dtype), bytes));
  if (!array) throw py::error_already_set();
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(array.ptr()), keeper.release().ptr()) < 0)
    throw py::error_already_set();
  return array;
}

std::vector<py::object> to_objects(const Tensor& labels) {
  std::vector<py::object> objects;
  if (labels.dtype() == DType::string) {
    for (const std::string& text : labels.span<std::string>()) objects.push_back(to_text(text));
  } else {
    for (const std::int64_t number : labels.span<std::int64_t>()) objects.push_back(py::int_(number));
  }
  return objects;
}

py::object to_maps(const py::object& array, const std::vector<py::object>& labels) {
  const py::list elements = array.attr("ravel")().attr("tolist")();
  py::list maps;
  for (std::size_t first = 0; first + labels.size() <= elements.size() && !labels.empty();
       first += labels.size()) {
    py::dict map;
    for (std::size_t i = 0; i < labels.size(); ++i) map[labels[i]] = elements[first + i];
    maps.append(std::move(map));
  }
  return maps;
}

const char* numpy_name(DType dtype) {
  switch (dtype) {
    case DType::string:
    case DType::undefined:
      return "object";
    case DType::boolean:
      return "bool";
    case DType::bfloat16:
      return "uint16";
    default:
      return name_of(dtype).data();
  }
}

}  // namespace bnrun::python
