// Reading the attributes of a node into the typed members of its operator.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "op/attributes.h"

namespace bnrun {

/// An operator as a node calls it.
struct OpCall {
  std::string_view op_type;
  std::string_view domain;  ///< "" is ai.onnx
  const Attributes& attributes;
  std::vector<bool> given;  ///< by input: not left out
  std::size_t outputs = 1;  ///< how many the node lists
  bool wide = false;        ///< in a graph whose floating-point values are all float64 (see passes/widen.h)
};

/// Reads the attributes of one node for an operator's constructor. An attribute that the constructor has not
/// read is an error.
class AttributeReader {
 public:
  /// `version`: the operator version in force, e.g. 9 for BatchNormalization under opset 13.
  AttributeReader(const OpCall& call, std::int64_t version) : call_(call), version_(version) {}

  std::int64_t version() const { return version_; }
  /// For messages; what tells an operator from its siblings is the kind in the operator table.
  std::string_view op_type() const { return call_.op_type; }
  std::size_t inputs() const { return call_.given.size(); }
  bool given(std::size_t i) const { return i < call_.given.size() && call_.given[i]; }
  std::size_t outputs() const { return call_.outputs; }
  const Attributes& attributes() const { return call_.attributes; }
  /// The element type of results for which ONNX names `dtype`: float64 in a graph of doubles.
  DType result_type(DType dtype) const { return call_.wide && is_floating(dtype) ? DType::float64 : dtype; }

  bool has(std::string_view name);
  std::int64_t get_int(std::string_view name, std::int64_t otherwise);
  std::int64_t require_int(std::string_view name);
  bool get_bool(std::string_view name, bool otherwise) { return get_int(name, otherwise ? 1 : 0) != 0; }
  double get_float(std::string_view name, double otherwise);
  std::string get_string(std::string_view name, std::string_view otherwise);
  std::optional<std::vector<std::int64_t>> get_ints(std::string_view name);
  std::optional<std::vector<float>> get_floats(std::string_view name);
  std::optional<std::vector<std::string>> get_strings(std::string_view name);
  /// Floating-point tensors are converted to float64 in a graph of doubles.
  std::optional<Tensor> get_tensor(std::string_view name);
  std::shared_ptr<const Graph> get_graph(std::string_view name);  ///< nullptr when absent
  /// The element type whose TensorProto.DataType number the attribute holds, passed through result_type().
  DType get_dtype(std::string_view name, DType otherwise);
  /// Marks an attribute as read that has no influence on the result.
  void ignore(std::string_view name) { has(name); }

  /// Throws when an attribute has not been read: `unsupported`, or invalid_model where it is not among `names`,
  /// all that the operator has had in any version (between blanks; nullopt: not known).
  void check_all_read(std::optional<std::string_view> names) const;

 private:
  template <class T>
  const T* find(std::string_view name);

  const OpCall& call_;
  std::int64_t version_;
  std::vector<std::string_view> read_;
};

}  // namespace bnrun
