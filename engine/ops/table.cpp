// The operator table: one row for each line of table.inc.
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "bnrun/operators.h"
#include "op/registry.h"
#include "ops/activation/kinds.h"
#include "ops/elementwise/kinds.h"
#include "ops/image/kinds.h"
#include "ops/norm/kinds.h"
#include "ops/pool/kinds.h"
#include "ops/reduce/kinds.h"

namespace bnrun {

// Factories of several operators are declared in kinds.h, so that
// a row with a kind of the wrong type does not compile.
#define OP(domain, name, factory, ...) std::unique_ptr<const Op> factory(AttributeReader& node);
#define OP_OF_KIND(...)
#include "ops/table.inc"
#undef OP
#undef OP_OF_KIND

namespace {

template <int... Versions>
constexpr int kVersions[] = {Versions...};

constexpr std::string_view attributes_of(std::string_view domain, std::string_view name) {
#define ATTRIBUTES(its_domain, its_name, names) \
  if (name == #its_name && domain == its_domain) return names;
#include "ops/attribute_names.inc"
#undef ATTRIBUTES
  return {};
}

constexpr auto kTable = [] {
  auto rows = std::to_array<OpEntry>({
#define OP(domain, name, factory, ...) \
  {domain, #name, factory, kVersions<__VA_ARGS__>, attributes_of(domain, #name)},
#define OP_OF_KIND(domain, name, factory, kind, ...)                                                 \
  {domain, #name, [](AttributeReader& node) { return factory(node, kind); }, kVersions<__VA_ARGS__>, \
   attributes_of(domain, #name)},
#include "ops/table.inc"
#undef OP
#undef OP_OF_KIND
  });
  std::ranges::sort(rows, {}, [](const OpEntry& entry) { return std::pair(entry.domain, entry.name); });
  return rows;
}();

}  // namespace

std::span<const OpEntry> op_table() {
  return kTable;
}

std::vector<OperatorInfo> supported_operators() {
  std::vector<OperatorInfo> operators;
  for (const OpEntry& entry : op_table()) {
    operators.push_back({entry.domain, entry.name, {entry.versions.begin(), entry.versions.end()}});
  }
  return operators;
}

}  // namespace bnrun
