// LayerNormalization: n = (x - mean) / sqrt(var + epsilon) of each row,  y = scale * n + B.
#pragma once

#include "train/layers/layer.h"
#include "train/layers/learned_map.h"

namespace bnrun::train {

//   dB = sum dy,  dscale = sum dy * n over the rows; in each row with dn = dy * scale
//   dx = (dn - mean(dn) - n * mean(dn * n)) / sqrt(var + epsilon)   (Ba et al. 2016, arXiv 1607.06450)
template <class T>
class LayerNormalizationLayer final : public Layer<T> {
 public:
  LayerNormalizationLayer(const LayerNormalization& spec, std::int64_t channels);

  std::int64_t trainable() const override { return map_.trainable(); }
  void bind(T* weights, T* gradients) override { map_.bind(weights, gradients); }
  void initialize(Random& /*random*/) override { map_.initialize(); }
  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;
  std::vector<std::pair<std::string, Tensor>> weights() const override;

 private:
  std::int64_t C() const { return this->outputs(); }
  double scale_at(std::int64_t c) const { return map_.scale_at(count_of(c)); }
  double B_at(std::int64_t c) const { return map_.B_at(count_of(c)); }
  /// Mean and 1 / sqrt(var + epsilon) of a row.
  std::pair<double, double> measure(const T* x) const;

  LayerNormalization spec_;
  LearnedMap<T> map_;
  std::vector<double> dscale_sum_, dB_sum_;
};

extern template class LayerNormalizationLayer<float>;
extern template class LayerNormalizationLayer<double>;

}  // namespace bnrun::train
