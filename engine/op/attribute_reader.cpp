#include "op/attribute_reader.h"

#include <algorithm>

#include "base/fail.h"

namespace bnrun {

bool AttributeReader::has(std::string_view name) {
  const auto found = call_.attributes.find(name);
  if (found == call_.attributes.end()) return false;
  read_.push_back(found->first);
  return true;
}

template <class T>
const T* AttributeReader::find(std::string_view name) {
  if (!has(name)) return nullptr;
  const auto* value = std::get_if<T>(&call_.attributes.find(name)->second);
  if (value == nullptr) fail(ErrorCode::invalid_model, "attribute '{}' has the wrong type", name);
  return value;
}

std::int64_t AttributeReader::get_int(std::string_view name, std::int64_t otherwise) {
  const auto* value = find<std::int64_t>(name);
  return value != nullptr ? *value : otherwise;
}

std::int64_t AttributeReader::require_int(std::string_view name) {
  const auto* value = find<std::int64_t>(name);
  if (value == nullptr) fail(ErrorCode::invalid_model, "attribute '{}' is missing", name);
  return *value;
}

double AttributeReader::get_float(std::string_view name, double otherwise) {
  const auto* value = find<float>(name);
  return value != nullptr ? static_cast<double>(*value) : otherwise;
}

std::string AttributeReader::get_string(std::string_view name, std::string_view otherwise) {
  const auto* value = find<std::string>(name);
  return value != nullptr ? *value : std::string(otherwise);
}

std::optional<std::vector<std::int64_t>> AttributeReader::get_ints(std::string_view name) {
  const auto* value = find<std::vector<std::int64_t>>(name);
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<std::vector<float>> AttributeReader::get_floats(std::string_view name) {
  const auto* value = find<std::vector<float>>(name);
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<std::vector<std::string>> AttributeReader::get_strings(std::string_view name) {
  const auto* value = find<std::vector<std::string>>(name);
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<Tensor> AttributeReader::get_tensor(std::string_view name) {
  const auto* value = find<Tensor>(name);
  if (value == nullptr) return std::nullopt;
  const DType dtype = result_type(value->dtype());
  return dtype == value->dtype() ? *value : convert(*value, dtype);
}

std::shared_ptr<const Graph> AttributeReader::get_graph(std::string_view name) {
  const auto* value = find<std::shared_ptr<const Graph>>(name);
  return value != nullptr ? *value : nullptr;
}

DType AttributeReader::get_dtype(std::string_view name, DType otherwise) {
  const auto* value = find<std::int64_t>(name);
  if (value == nullptr) return otherwise;
  if (*value <= 0) fail(ErrorCode::invalid_model, "attribute '{}' names element type {}", name, *value);
  const auto number = static_cast<DType>(*value);
  if (*value > 255 || element_bytes(number) == 0) {
    fail(ErrorCode::unsupported,
         "attribute '{}' names element type {}, which is not supported (operator version {})", name, *value,
         version_);
  }
  return result_type(number);
}

namespace {

bool lists(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(' '), names.size());
    if (names.substr(0, end) == name) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

}  // namespace

void AttributeReader::check_all_read(std::optional<std::string_view> names) const {
  for (const auto& [name, value] : call_.attributes) {
    if (std::find(read_.begin(), read_.end(), name) != read_.end()) continue;
    if (names && !lists(*names, name))
      fail(ErrorCode::invalid_model, "no version of {} has an attribute '{}'", op_type(), name);
    fail(ErrorCode::unsupported, "attribute '{}' is not understood (operator version {})", name, version_);
  }
}

}  // namespace bnrun
