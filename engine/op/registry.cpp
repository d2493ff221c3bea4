#include "op/registry.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/fail.h"

namespace bnrun {
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

/// Up to here the table tells all attributes of its operators; later operator sets may bring more.
std::int64_t newest_opset(std::string_view domain) {
  return domain.empty() ? 24 : 5;
}

std::optional<int> version_of(const OpEntry& entry, std::int64_t opset) {
  const auto next = std::upper_bound(entry.versions.begin(), entry.versions.end(), opset);
  return next == entry.versions.begin() ? std::nullopt : std::optional(*(next - 1));
}

std::unique_ptr<const Op> make_from(const OpEntry& entry, const OpCall& call, std::int64_t opset) {
  const auto version = version_of(entry, opset);
  if (!version) fail(ErrorCode::unsupported, "{} does not exist in opset {}", entry.name, opset);
  if (call.outputs == 0) fail(ErrorCode::invalid_model, "{} has no output", entry.name);
  AttributeReader reader(call, *version);
  auto op = entry.make(reader);
  reader.check_all_read(opset <= newest_opset(entry.domain) ? std::optional(entry.attributes) : std::nullopt);
  return op;
}

}  // namespace

std::optional<int> version_in_force(std::string_view domain, std::string_view name, std::int64_t opset) {
  const OpEntry* entry = find_entry(domain, name);
  return entry != nullptr ? version_of(*entry, opset) : std::nullopt;
}

std::shared_ptr<const Op> make_op(const OpCall& call, std::int64_t opset) {
  const OpEntry* entry = find_entry(call.domain, call.op_type);
  return entry != nullptr ? make_from(*entry, call, opset) : nullptr;
}

}  // namespace bnrun
