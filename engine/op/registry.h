// The table of operators, and making the operator of a node from it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "op/attribute_reader.h"
#include "op/op.h"

namespace bnrun {

using OpFactory = std::unique_ptr<const Op> (*)(AttributeReader&);

/// One row of the operator table.
struct OpEntry {
  std::string_view domain;
  std::string_view name;
  OpFactory make;
  std::span<const int> versions;  ///< opset versions at which it changed, ascending, as far as understood
  std::string_view attributes;    ///< the names of all it has had in any version, between blanks
};

/// All operators, sorted by domain and name.
std::span<const OpEntry> op_table();

/// The version of an operator that is in force under this version of its operator set; nullopt when the table has
/// no such operator or it did not exist yet.
std::optional<int> version_in_force(std::string_view domain, std::string_view name, std::int64_t opset);

/// The operator of a call under this version of its operator set; nullptr when the table has
/// no operator of that name and domain. Throws `unsupported` for an operator version or attribute that is not
/// understood, and invalid_model for a malformed attribute or one that the operator never had.
std::shared_ptr<const Op> make_op(const OpCall& call, std::int64_t opset);

}  // namespace bnrun
