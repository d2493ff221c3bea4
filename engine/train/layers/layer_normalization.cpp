#include "train/layers/layer_normalization.h"

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "train/layers/tensor_of.h"

namespace bnrun::train {

template <class T>
LayerNormalizationLayer<T>::LayerNormalizationLayer(const LayerNormalization& spec, std::int64_t channels)
    : Layer<T>(channels, channels),
      spec_(spec),
      map_(spec.scale, spec.center, channels),
      dscale_sum_(count_of(channels)),
      dB_sum_(count_of(channels)) {
  if (!(spec.epsilon > 0.0) || !std::isfinite(spec.epsilon))
    fail(ErrorCode::invalid_input, "LayerNormalization with epsilon {}, expected a positive number",
         spec.epsilon);
}

template <class T>
std::pair<double, double> LayerNormalizationLayer<T>::measure(const T* x) const {
  const auto count = static_cast<double>(C());
  double mean = 0.0;
  for (std::int64_t c = 0; c < C(); ++c) mean += static_cast<double>(x[c]);
  mean /= count;
  double var = 0.0;
  for (std::int64_t c = 0; c < C(); ++c) var += std::pow(static_cast<double>(x[c]) - mean, 2);
  return {mean, 1.0 / std::sqrt(var / count + spec_.epsilon)};
}

template <class T>
void LayerNormalizationLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  for (std::int64_t r = 0; r < rows; ++r, x += C(), y += C()) {
    const auto [mean, inverse] = measure(x);
    for (std::int64_t c = 0; c < C(); ++c)
      y[c] = static_cast<T>((static_cast<double>(x[c]) - mean) * inverse * scale_at(c) + B_at(c));
  }
}

template <class T>
void LayerNormalizationLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) {
  std::fill(dscale_sum_.begin(), dscale_sum_.end(), 0.0);
  std::fill(dB_sum_.begin(), dB_sum_.end(), 0.0);
  const auto share = 1.0 / static_cast<double>(C());
  for (std::int64_t r = 0; r < rows; ++r, x += C(), dy += C()) {
    const auto [mean, inverse] = measure(x);
    double sum = 0.0;    // of dn = dy * scale
    double sum_n = 0.0;  // of dn * n
    for (std::int64_t c = 0; c < C(); ++c) {
      const double n = (static_cast<double>(x[c]) - mean) * inverse;
      const auto d = static_cast<double>(dy[c]);
      dscale_sum_[count_of(c)] += d * n;
      dB_sum_[count_of(c)] += d;
      sum += d * scale_at(c);
      sum_n += d * scale_at(c) * n;
    }
    if (dx == nullptr) continue;
    for (std::int64_t c = 0; c < C(); ++c) {
      const double n = (static_cast<double>(x[c]) - mean) * inverse;
      dx[c] =
          static_cast<T>(inverse * (static_cast<double>(dy[c]) * scale_at(c) - share * (sum + n * sum_n)));
    }
    dx += C();
  }
  map_.set_gradients(dscale_sum_, dB_sum_);
}

template <class T>
std::vector<std::pair<std::string, Tensor>> LayerNormalizationLayer<T>::weights() const {
  std::vector<T> scale;
  for (std::int64_t c = 0; c < C(); ++c) scale.push_back(static_cast<T>(scale_at(c)));
  std::vector<std::pair<std::string, Tensor>> list{{"scale", Tensor(Shape{C()}, scale)}};
  if (map_.B() != nullptr) list.emplace_back("B", tensor_of({C()}, map_.B()));
  return list;
}

template class LayerNormalizationLayer<float>;
template class LayerNormalizationLayer<double>;

}  // namespace bnrun::train
