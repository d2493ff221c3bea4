// A comparison of two models as it goes on.
#pragma once

#include <chrono>
#include <vector>

#include "bnrun/verify.h"
#include "graph/graph.h"
#include "verify/compare.h"
#include "verify/draw.h"
#include "verify/judge.h"
#include "verify/localise.h"
#include "verify/ports.h"

namespace bnrun {

/// Compares two models on one set of inputs after the other and gathers what the report says.
class Verifier {
 public:
  /// The graphs and options must outlive it.
  Verifier(const Graph& a, const Graph& b, const VerifyOptions& options, MatchedPorts inputs,
           MatchedPorts outputs);

  /// Runs A on a set that was drawn. If it refuses the integers (indices out of range, say), runs it again
  /// with integers 0 and 1, and so changes the set.
  std::vector<Tensor> run_on_drawn(InputSet& set) const;
  /// Whether A runs on it as it is.
  bool runs(const InputSet& set) const;
  /// One more set, if nothing has ended the comparison yet.
  void compare(InputSet& set);

  /// Nothing more can be learnt: B fails, or A does not run on what was drawn.
  bool ended() const { return !report.why.empty(); }
  double seconds() const;  ///< since it began
  double limit() const;    ///< after so many, no further sets should be drawn

  /// Judges. Once, at the end.
  VerifyReport conclude();

  VerifyReport report;

 private:
  bool run_a(InputSet& set, std::vector<Tensor>& a, std::vector<Tensor>& truth);
  std::vector<Tensor> outputs_of_b(const std::vector<Tensor>& inputs);
  void check_same_type(std::size_t output, const Tensor& a, const Tensor& b);
  void add_other_in_double(int kind, const std::vector<Tensor>& truth, const std::vector<Tensor>& inputs_b);
  void add_moved(std::size_t i, int kind, const std::vector<Tensor>& truth,
                 const std::vector<Tensor>& wide_inputs);
  void keep_as_suspect(const InputSet& set);
  void reconsider();

  bool affords(double more) const { return seconds() + more <= limit(); }
  bool is_judged(std::size_t output) const;
  bool judges_agree() const;
  bool within() const;
  std::vector<Tensor> for_b(const std::vector<Tensor>& inputs) const;
  std::vector<Tensor> from_b(const std::vector<Tensor>& outputs) const;

  const VerifyOptions& options_;
  std::vector<std::size_t> input_order_;
  std::vector<std::size_t> output_order_;
  Graph wide_a_;
  Graph wide_b_;
  Models models_;
  std::vector<Comparison> comparisons_;
  std::vector<Judge> judges_;  ///< from the first set on
  std::vector<bool> judged_;   ///< of each output, whether the set that is looked at decides
  std::vector<double> excess_;
  std::vector<InputSet> suspects_;  ///< inputs to look at again where the models seem to differ
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double truth_seconds_ = 0.0;  ///< the longest evaluation in double so far
};

}  // namespace bnrun
