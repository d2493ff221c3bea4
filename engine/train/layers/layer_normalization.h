// LayerNormalization: n = (x - mean) / sqrt(var + epsilon) of each row,  y = scale * n + B.
#pragma once

#include "train/layers/layer.h"

namespace bnrun::train {

//   dB = sum dy,  dscale = sum dy * n over the rows; in each row with dn = dy * scale
//   dx = (dn - mean(dn) - n * mean(dn * n)) / sqrt(var + epsilon)   (Ba et al. 2016, arXiv 1607.06450)
template <class T>
class LayerNormalizationLayer final : public Layer<T> {
 public:
  LayerNormalizationLayer(const LayerNormalization& spec, std::int64_t channels);

  std::int64_t trainable() const override { return C() * ((spec_.scale ? 1 : 0) + (spec_.center ? 1 : 0)); }
  void bind(T* weights, T* gradients) override;
  void initialize(Random& random) override;
  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;
  std::vector<std::pair<std::string, Tensor>> weights() const override;

 private:
  std::int64_t C() const { return this->outputs(); }
  double scale_at(std::int64_t c) const { return scale_ != nullptr ? static_cast<double>(scale_[c]) : 1.0; }
  double B_at(std::int64_t c) const { return B_ != nullptr ? static_cast<double>(B_[c]) : 0.0; }
  /// Mean and 1 / sqrt(var + epsilon) of a row.
  std::pair<double, double> measure(const T* x) const;

  LayerNormalization spec_;
  T* scale_ = nullptr;
  T* B_ = nullptr;
  T* dscale_ = nullptr;
  T* dB_ = nullptr;
  std::vector<double> dscale_sum_, dB_sum_;
};

extern template class LayerNormalizationLayer<float>;
extern template class LayerNormalizationLayer<double>;

}  // namespace bnrun::train
