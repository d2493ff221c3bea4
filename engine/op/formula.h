// What an operator computes, for those who recognise a formula that a model writes in several nodes.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "op/op.h"

namespace bnrun {

/// Output 0, of floating-point inputs by numpy's rules.
struct Formula {
  enum class Kind {
    sum,         ///< input 0 + input 1
    difference,  ///< input 0 - input 1
    product,     ///< input 0 * input 1
    quotient,    ///< input 0 / input 1
    power,       ///< input 0 to the `exponent`
    erf,         ///< the error function of input 0
    mean,        ///< of input 0 over `axes`, which stay with one element
  };
  Kind kind = Kind::sum;
  double exponent = 0.0;
  std::vector<std::size_t> axes{};  ///< ascending, at least one
};

/// Whoever compiles a graph asks for it by dynamic_cast.
class HasFormula {
 public:
  virtual ~HasFormula() = default;
  virtual std::optional<Formula> formula(const FoldArgs& args) const = 0;
};

}  // namespace bnrun
