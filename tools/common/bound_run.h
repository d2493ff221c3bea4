// A session with inputs and outputs of its own for one number of rows, for timing.
#pragma once

#include <cstdint>
#include <vector>

#include "bnrun/session.h"

namespace bnrun::cli {

class BoundRun {
 public:
  /// `session` outlives it. Dynamic dimensions of the inputs are taken for the batch; numbers lie around 0 in an input
  /// of floating point and are 0 in another (an index is then in range). Runs once. Throws as Session does, and
  /// unsupported for an input of unknown rank.
  BoundRun(const Session& session, std::int64_t rows);

  void run() { session_.run(views_, output_views_); }
  const std::vector<TensorView>& inputs() const { return views_; }
  const std::vector<Tensor>& outputs() const { return outputs_; }

 private:
  const Session& session_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> outputs_;
  std::vector<TensorView> views_;
  std::vector<MutableTensorView> output_views_;
};

}  // namespace bnrun::cli
