// The verdict against the truth: is model B as close to it as model A is?
#pragma once

#include <map>

#include "bnrun/tensor.h"

namespace bnrun {

/// Sizes of errors: their root mean square and their maximum.
struct Spread {
  double squares = 0.0;
  double largest = 0.0;
  double count = 0.0;

  void add(double error);
  double rms() const;
};

/// Gathers errors of one output and judges those of model B.
///
/// The truth is model A evaluated in double. Three kinds of noise tell how far from it a faithful copy of A may lie:
/// A's own rounding errors, and how far the truth moves when weights are moved by one unit in the last place
/// of their type ("moved"), which is what folding rounds. B is held to both: evaluated in its own precision it
/// may err kFactor times as much as the larger of them, and evaluated in double, where nothing but its
/// constants can differ, kFactor times as much as the weights' rounding explains or twice as much as A does. Each
/// may err one unit in the last place of the output's scale more (kFactorInDouble of them in float64). Root mean squares and maxima are compared,
/// for each kind of input apart, and for the data also for each channel, so that small outputs are not
/// measured by large ones; an error of a kind with few elements (a single row of zeros) is allowed what the data show
/// relative to their scale. This is a test by sampling in the sense of J. Vignes' stochastic
/// arithmetic (Mathematics and Computers in Simulation 35, 1993); it proves nothing about other inputs.
class Judge {
 public:
  /// Of 5,661 folds of random networks one errs more (tests/property/verdict_property_test.cpp): in float64, where a
  /// BatchNormalization of a large mean loses digits that its centred form keeps, and the truth with it.
  /// The largest weight of a layer off by a thousandth makes a dense network err 20 to 10,000 times as much, a
  /// convolution of 64 x 64 x 3 x 3 100 times what is allowed (a middling weight 20 times) and in the midst of five of
  /// them, pooled, twice.
  static constexpr double kFactor = 8.0;
  /// In double the truth has rounding errors of its own, which nothing measures.
  static constexpr double kFactorInDouble = 64.0;

  explicit Judge(DType dtype) : dtype_(dtype) {}
  DType dtype() const { return dtype_; }

  /// Each takes results for the same inputs; `kind` 0 is the data. All but strings are judged.
  void add_own(int kind, const Tensor& truth, const Tensor& a);
  void add_moved(int kind, const Tensor& truth, const Tensor& moved);
  void add_other(int kind, const Tensor& truth, const Tensor& a, const Tensor& b);
  void add_other_in_double(int kind, const Tensor& truth, const Tensor& truth_of_b);

  /// The largest error of B as a multiple of what is allowed: B agrees up to 1. Infinite where B is no number
  /// and A is one.
  double excess() const;
  /// Whether anything was judged.
  bool judged() const { return broken_ || !tallies_.empty(); }

 private:
  /// What errors are gathered by: a kind of input and, for the data, a channel on axis 1.
  struct Group {
    static constexpr int kAll = -1;
    int kind = 0;
    int channel = kAll;
    friend auto operator<=>(const Group&, const Group&) = default;
  };
  struct Tally {
    Spread own, moved, other, other_in_double;
    double scale = 0.0;
  };
  double error(double truth, double value) const;
  double excess(const Group& group, const Tally& tally, double (*norm)(const Spread&)) const;

  DType dtype_;
  /// Calls visit(tally, i) for each element in each group that it belongs to.
  template <class Visit>
  void for_each(int kind, const Shape& shape, const Visit& visit);

  std::map<Group, Tally> tallies_;
  bool broken_ = false;
};

}  // namespace bnrun
