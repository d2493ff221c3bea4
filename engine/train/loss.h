// Losses: a number for a batch and its gradient.
#pragma once

#include <cstdint>

#include "bnrun/train_network.h"

namespace bnrun::train {

/// Rows to learn from. Which of labels and targets is read depends on the loss.
template <class T>
struct Batch {
  std::int64_t rows = 0;
  const T* features = nullptr;           ///< [rows, inputs]
  const std::int64_t* labels = nullptr;  ///< [rows]
  const T* targets = nullptr;            ///< [rows, outputs]
};

/// What a network minimises. The means are over rows, or over rows and outputs.
class Objective {
 public:
  explicit Objective(Loss loss, LossOptions options = {}) : loss_(loss), options_(std::move(options)) {}

  Loss loss() const { return loss_; }
  const LossOptions& options() const { return options_; }
  /// Whether rows have a label and not targets.
  bool takes_labels() const { return loss_ == Loss::cross_entropy; }
  /// Whether it is computed from what the last activation receives, so that a probability of zero is no
  /// infinity, and its gradient is with respect to that.
  bool takes_logits() const { return loss_ == Loss::cross_entropy || loss_ == Loss::binary_cross_entropy; }

  /// `y` [rows, outputs] is what the network puts out, `logits` what its last layer receives. `gradient`
  /// [rows, outputs] receives the loss's with respect to the logits or to y.
  template <class T>
  double operator()(const Batch<T>& batch, std::int64_t outputs, const T* logits, const T* y,
                    T* gradient) const;

  /// The same number from y alone; a probability below the smallest normal one counts as that.
  double of_outputs(const Batch<float>& batch, std::int64_t outputs, const float* y) const;

 private:
  double row_weight(std::int64_t label) const;
  /// What label and smoothing make the probability of class c be.
  double wanted(std::int64_t label, std::int64_t c, std::int64_t classes) const;
  double smoothed(double target) const;

  Loss loss_;
  LossOptions options_;
};

extern template double Objective::operator()(const Batch<float>&, std::int64_t, const float*, const float*,
                                             float*) const;
extern template double Objective::operator()(const Batch<double>&, std::int64_t, const double*, const double*,
                                             double*) const;

/// Throws invalid_input when a number makes no sense for that many outputs.
void check_loss(Loss loss, const LossOptions& options, std::int64_t outputs);

}  // namespace bnrun::train
