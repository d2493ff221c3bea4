// How far rounding may take a network from its values in exact arithmetic.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bnrun/tensor.h"
#include "graph/graph.h"

namespace bnrun::testing {

/// Bounds |computed - exact| <= g(roundings) * M for every value of a network, by name, with
/// g(n) = n*u / (1 - n*u).
///
/// The magnitude M(v) of a value is what the network gives for it when no two terms can cancel: inputs and
/// constants by their absolute values, differences as sums, activations of Lipschitz constant 1 that keep 0
/// as the identity, BatchNormalization in training with the smallest deviation it can divide by. So M >= |v|,
/// and M passes on an error of its inputs at least as well as the network does. A layer y = W*x + b of K
/// terms in floating point (N. Higham, Accuracy and Stability of Numerical Algorithms, ch. 3) has
///   e_y <= |W|*e_x + (K+2)*u*(|W|*|x| + |b|) <= |W|*e_x + (K+2)*u*M(y);
/// with e_x <= n*u*M(x) that is e_y <= (n+K+2)*u*M(y): the counts of all operators simply add up.
///
/// Folding regroups factors, (W*s)*x + (b*s + t) for (W*x + b)*s + t, and never lets a new sum cancel: its
/// absolute values are part of M already. It adds one rounding for each constant it writes. Hence the same M
/// bounds the folded network.
class ErrorBound {
 public:
  /// `graph` has all its floating-point values in double (widened()), as have `inputs`; `stored` is the type
  /// that the network computes in.
  ErrorBound(const Graph& graph, const std::vector<Tensor>& inputs, DType stored);

  /// M for element i of the value called `name`; infinite where that value, or one it depends on, may
  /// overflow.
  double magnitude(const std::string& name, std::size_t i) const { return magnitudes_.at(name).at(i); }
  /// The bound.
  double operator()(const std::string& name, std::size_t i) const { return factor_ * magnitude(name, i); }

 private:
  std::map<std::string, std::vector<double>> magnitudes_;
  double factor_ = 0.0;  ///< g(roundings)
};

}  // namespace bnrun::testing
