// A Dense layer, or a convolution, and the BatchNormalization behind it as one: training with folded weights.
#pragma once

#include <optional>

#include "train/layers/batch_normalization.h"
#include "train/layers/linear.h"
#include "train/layers/quantiser.h"

namespace bnrun::train {

// On the panels P of x that the layer multiplies: x itself, or what its windows see.
// With s = scale / sigma_running, Wf = Q(W * s), sigma = sqrt(var + epsilon) and h = P * W + b:
//   y = (P * Wf) * sigma_running / sigma_batch + scale * (b - mean_batch) / sigma_batch + B
// until the statistics are frozen, then with the running ones in place of the batch's, which leaves no
// correction (Jacob et al. 2017, arXiv 1712.05877, section 3.2; Krishnamoorthi 2018, arXiv 1806.08342, section
// 3.2.2). Nothing is divided by the scale, which may be 0. Q is the identity without quantising; gradients
// pass through it. The weights and statistics stay those of the two layers, which must outlive this one.
template <class T>
class FoldedLinearLayer final : public Layer<T> {
 public:
  /// Without `normalization` it is the layer alone, quantised. REQUIRES: one that is quantised is Dense.
  FoldedLinearLayer(LinearLayer<T>& linear, BatchNormalizationLayer<T>* normalization, bool quantised);

  std::span<double> statistics() override;
  void freeze_statistics(bool frozen) override { frozen_ = frozen; }
  void forward(std::int64_t rows, const T* x, T* y) override;
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;

  /// "W" and "b", folded and rounded once. Quantised: "W" int8, "W_scale", "b" int32, "b_scale", "x_scale"
  /// and "x_zero_point".
  std::vector<std::pair<std::string, Tensor>> weights() const override;

 private:
  struct Folded {
    std::vector<T> W;
    std::vector<T> b;
  };

  std::int64_t K() const { return linear_.K(); }
  std::int64_t N() const { return linear_.N(); }
  double bias_at(std::size_t n) const {
    return linear_.b() != nullptr ? static_cast<double>(linear_.b()[n]) : 0.0;
  }
  double sigma(const ChannelStatistics& statistics, std::size_t n) const;
  /// With the running statistics, not quantised.
  Folded fold() const;
  /// What one step of the bias of unit n is worth.
  float bias_step(float weight_step) const;
  void prepare(std::int64_t rows, const T* x);
  void backward_to_weights(std::int64_t M);
  void backward_to_input(std::int64_t rows, bool by_batch, T* dx);

  LinearLayer<T>& linear_;
  BatchNormalizationLayer<T>* normalization_;
  bool quantised_;
  bool frozen_ = false;
  MovingRange range_;

  // Of the last `forward`, as far as `backward` needs them.
  const T* panels_ = nullptr;        // P
  std::vector<T> gathered_;          // P, where it is not x itself
  std::vector<T> h_;                 // P * W + b
  std::vector<T> z_;                 // P * Wf
  std::vector<T> W_;                 // Wf
  std::vector<double> slope_;        // s
  std::vector<double> correction_;   // sigma_running / sigma_batch
  std::vector<double> shift_;        // (b - mean) / sigma
  std::vector<T> dz_, dh_, dW_;      // of backward
  std::vector<T> dpanels_;           // likewise, where P is not x itself
  std::vector<double> sum_, sum_z_;  // of dy, and of dy * z
  std::vector<double> dscale_;
  std::vector<double> to_mean_, to_sigma_;  // the second over sigma, as h's distance from the mean is
  std::vector<double> offset_;              // of forward
};

extern template class FoldedLinearLayer<float>;
extern template class FoldedLinearLayer<double>;

}  // namespace bnrun::train
