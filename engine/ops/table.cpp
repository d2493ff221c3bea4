// The operator table: one row for each line of table.inc.
#include <algorithm>
#include <map>
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

std::string_view attributes_of(std::string_view domain, std::string_view name) {
  static const std::map<std::pair<std::string_view, std::string_view>, std::string_view> names = {
#define ATTRIBUTES(domain, name, names) {{domain, #name}, names},
#include "ops/attribute_names.inc"
#undef ATTRIBUTES
  };
  const auto found = names.find({domain, name});
  return found == names.end() ? std::string_view() : found->second;
}

}  // namespace

std::span<const OpEntry> op_table() {
  static const std::vector<OpEntry> table = [] {
    std::vector<OpEntry> rows = {
#define OP(domain, name, factory, ...) {domain, #name, factory, {__VA_ARGS__}, attributes_of(domain, #name)},
#define OP_OF_KIND(domain, name, factory, kind, ...)          \
  {domain,                                                    \
   #name,                                                     \
   [](AttributeReader& node) { return factory(node, kind); }, \
   {__VA_ARGS__},                                             \
   attributes_of(domain, #name)},
#include "ops/table.inc"
#undef OP
#undef OP_OF_KIND
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
