#include "op/op.h"

#include <algorithm>

#include "base/fail.h"

namespace bnrun {

OrDeclined<std::vector<ChannelAffine>> Op::pass_affines(Side from, std::span<const ChannelAffine> maps,
                                                        const FoldArgs& args) const {
  for (const ChannelAffine& other : maps.subspan(1)) {
    if (!other.is_identity()) return Declined{Decline::activation_between, {}};
  }
  auto passed = pass_affine(from, maps[0], args);
  if (auto* declined = std::get_if<Declined>(&passed)) return std::move(*declined);
  return std::vector{std::get<ChannelAffine>(std::move(passed))};
}

bool AttributeReader::has(std::string_view name) {
  const auto found = node_.attributes.find(name);
  if (found == node_.attributes.end()) return false;
  read_.push_back(found->first);
  return true;
}

template <class T>
const T* AttributeReader::find(std::string_view name) {
  if (!has(name)) return nullptr;
  const auto* value = std::get_if<T>(&node_.attributes.find(name)->second);
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
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::shared_ptr<const Graph> AttributeReader::get_graph(std::string_view name) {
  const auto* value = find<std::shared_ptr<const Graph>>(name);
  return value != nullptr ? *value : nullptr;
}

DType AttributeReader::get_dtype(std::string_view name, DType otherwise) {
  const auto* value = find<std::int64_t>(name);
  if (value == nullptr) return otherwise;
  const auto number = static_cast<DType>(*value);
  if (*value <= 0 || *value > 255 || element_bytes(number) == 0) {
    fail(ErrorCode::unsupported,
         "attribute '{}' names element type {}, which is not supported (operator version {})", name, *value,
         version_);
  }
  return number;
}

void AttributeReader::check_all_read() const {
  for (const auto& [name, value] : node_.attributes) {
    if (std::find(read_.begin(), read_.end(), name) == read_.end()) {
      fail(ErrorCode::unsupported, "attribute '{}' is not understood (operator version {})", name, version_);
    }
  }
}

namespace {

const OpEntry* find_entry(std::string_view domain, std::string_view name) {
  if (domain == "ai.onnx") domain = "";
  const auto table = op_table();
  const auto key = std::pair(domain, name);
  const auto found = std::lower_bound(
      table.begin(), table.end(), key,
      [](const OpEntry& entry, const auto& wanted) { return std::pair(entry.domain, entry.name) < wanted; });
  return found != table.end() && std::pair(found->domain, found->name) == key ? &*found : nullptr;
}

std::unique_ptr<const Op> make_from(const OpEntry& entry, const Node& node, std::int64_t opset) {
  const auto next = std::upper_bound(entry.versions.begin(), entry.versions.end(), opset);
  if (next == entry.versions.begin()) {
    fail(ErrorCode::unsupported, "{} does not exist in opset {}", entry.name, opset);
  }
  if (node.outputs.empty()) fail(ErrorCode::invalid_model, "{} has no output", entry.name);
  AttributeReader reader(node, *(next - 1));
  auto op = entry.make(reader);
  reader.check_all_read();
  return op;
}

}  // namespace

std::unique_ptr<const Op> make_op(const Node& node, std::int64_t opset) {
  const OpEntry* entry = find_entry(node.domain, node.op_type);
  return entry != nullptr ? make_from(*entry, node, opset) : nullptr;
}

std::unique_ptr<const Op> find_op(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  try {
    return make_op(node, graph.opset(node.domain));
  } catch (const Error& error) {
    throw error.within(describe(graph, id));
  }
}

std::unique_ptr<const Op> require_op(const Graph& graph, NodeId id) {
  auto op = find_op(graph, id);
  if (op == nullptr) {
    const Node& node = graph.node(id);
    fail(ErrorCode::unsupported, "{}: operator {} of domain '{}' (opset {}) is not supported",
         describe(graph, id), node.op_type, node.domain.empty() ? "ai.onnx" : node.domain,
         graph.opset(node.domain));
  }
  return op;
}

}  // namespace bnrun
