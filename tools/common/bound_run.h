// A session with inputs and outputs of its own for one number of rows, for timing.
#pragma once

#include <cstdint>
#include <vector>

#include "bnrun/session.h"
#include "common/made_up.h"

namespace bnrun::cli {

class BoundRun {
 public:
  /// `session` outlives it. Inputs are made up (made_up.h) with so many rows, where the model leaves them open. Runs
  /// once. Throws as Session and made_up_inputs do.
  BoundRun(const Session& session, std::int64_t rows, const Sizes& sizes = {});

  /// Rows of a run: those asked for, or the model's own.
  std::int64_t rows() const { return rows_of(views_); }
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
