// The attributes of a node as the file gives them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "bnrun/tensor.h"

namespace bnrun {

class Graph;

/// An attribute of a kind that the engine does not represent (a sparse
/// tensor, a type). Its value stays in the ModelProto it was read from.
struct OpaqueAttribute {};

using AttributeValue = std::variant<OpaqueAttribute, std::int64_t, float, std::string, Tensor,
                                    std::shared_ptr<const Graph>, std::vector<std::int64_t>,
                                    std::vector<float>, std::vector<std::string>, std::vector<Tensor>>;
using Attributes = std::map<std::string, AttributeValue, std::less<>>;

}  // namespace bnrun
