#include <algorithm>

#include "bnrun/operators.h"
#include "op/registry.h"

namespace bnrun {

#define OP(domain, name, factory, kind, ...) std::unique_ptr<const Op> factory(AttributeReader& node);
#include "ops/table.inc"
#undef OP

std::span<const OpEntry> op_table() {
  static const std::vector<OpEntry> table = [] {
    std::vector<OpEntry> rows = {
#define OP(domain, name, factory, kind, ...) {domain, #name, factory, static_cast<int>(kind), {__VA_ARGS__}},
#include "ops/table.inc"
#undef OP
    };
    std::sort(rows.begin(), rows.end(), [](const OpEntry& a, const OpEntry& b) {
      return std::pair(a.domain, a.name) < std::pair(b.domain, b.name);
    });
    return rows;
  }();
  return table;
}

std::vector<OperatorInfo> supported_operators() {
  std::vector<OperatorInfo> operators;
  for (const OpEntry& entry : op_table()) operators.push_back({entry.domain, entry.name, entry.versions});
  return operators;
}

}  // namespace bnrun
