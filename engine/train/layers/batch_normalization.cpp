#include "train/layers/batch_normalization.h"

#include <algorithm>
#include <cmath>

#include "affine/channel_affine.h"
#include "base/fail.h"

namespace bnrun::train {

template <class T>
BatchNormalizationLayer<T>::BatchNormalizationLayer(const BatchNormalization& spec, std::int64_t channels,
                                                    std::int64_t positions)
    : Layer<T>(channels * positions, channels * positions),
      spec_(spec),
      channels_(channels),
      map_(spec.scale, spec.center, channels),
      statistics_(count_of(2 * channels), 0.0),
      mean_(count_of(channels)),
      var_(count_of(channels)),
      inverse_(count_of(channels)),
      slope_(count_of(channels)),
      sum_(count_of(channels)),
      sum_n_(count_of(channels)) {
  if (!(spec.momentum >= 0.0 && spec.momentum < 1.0))
    fail(ErrorCode::invalid_input, "BatchNormalization with momentum {}, expected 0 <= momentum < 1",
         spec.momentum);
  if (!(spec.epsilon > 0.0) || !std::isfinite(spec.epsilon))
    fail(ErrorCode::invalid_input, "BatchNormalization with epsilon {}, expected a positive number",
         spec.epsilon);
  std::fill(statistics_.begin() + channels, statistics_.end(), 1.0);
}

template <class T>
ChannelStatistics BatchNormalizationLayer<T>::running() const {
  const std::span<const double> all(statistics_);
  return {all.first(mean_.size()), all.subspan(mean_.size())};
}

template <class T>
void BatchNormalizationLayer<T>::measure(std::int64_t points, const T* x) {
  const auto each = [&](auto visit) {
    for (std::int64_t r = 0; r < points; ++r) {
      for (std::int64_t c = 0; c < C(); ++c) visit(count_of(c), static_cast<double>(x[r * C() + c]));
    }
  };
  std::fill(mean_.begin(), mean_.end(), 0.0);
  each([this](std::size_t c, double value) { mean_[c] += value; });
  for (double& mean : mean_) mean /= static_cast<double>(points);
  std::fill(var_.begin(), var_.end(), 0.0);
  each([this](std::size_t c, double value) {
    const double distance = value - mean_[c];
    var_[c] += distance * distance;
  });
  for (double& var : var_) var /= static_cast<double>(points);
  const auto follow = [this](double& running, double batch) {
    running = running * spec_.momentum + batch * (1.0 - spec_.momentum);
  };
  for (std::size_t c = 0; c < mean_.size(); ++c) {
    follow(statistics_[c], mean_[c]);
    follow(statistics_[mean_.size() + c], var_[c]);
  }
}

template <class T>
void BatchNormalizationLayer<T>::forward(std::int64_t rows, const T* x, T* y) {
  if (!frozen_) measure(points_of(rows), x);
  normalize(points_of(rows), x, y, frozen_ ? running() : batch());
}

template <class T>
void BatchNormalizationLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  normalize(points_of(rows), x, y, running());
}

template <class T>
void BatchNormalizationLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) {
  const std::int64_t points = points_of(rows);
  const auto each = [&](auto visit) {
    for (std::int64_t r = 0; r < points; ++r) {
      for (std::int64_t c = 0; c < C(); ++c) visit(count_of(c), r * C() + c);
    }
  };
  const auto [mean, var] = frozen_ ? running() : batch();
  std::fill(sum_.begin(), sum_.end(), 0.0);
  std::fill(sum_n_.begin(), sum_n_.end(), 0.0);
  for (std::size_t c = 0; c < mean.size(); ++c) {
    inverse_[c] = batch_normalization_channel(1.0, 0.0, mean[c], var[c], spec_.epsilon).first;
    slope_[c] = map_.scale_at(c) * inverse_[c];
  }
  const auto n = [&](std::size_t c, std::int64_t i) {
    return (static_cast<double>(x[i]) - mean[c]) * inverse_[c];
  };
  each([&](std::size_t c, std::int64_t i) {
    sum_[c] += static_cast<double>(dy[i]);
    sum_n_[c] += static_cast<double>(dy[i]) * n(c, i);
  });
  map_.set_gradients(sum_n_, sum_);
  if (dx == nullptr) return;
  const double share = frozen_ ? 0.0 : 1.0 / static_cast<double>(points);
  each([&](std::size_t c, std::int64_t i) {
    dx[i] =
        static_cast<T>(slope_[c] * (static_cast<double>(dy[i]) - share * (sum_[c] + n(c, i) * sum_n_[c])));
  });
}

template <class T>
std::vector<std::pair<std::string, Tensor>> BatchNormalizationLayer<T>::weights() const {
  const Shape shape{C()};
  const auto [mean, var] = running();
  std::vector<T> values[4];
  for (std::size_t c = 0; c < mean.size(); ++c) {
    values[0].push_back(static_cast<T>(map_.scale_at(c)));
    values[1].push_back(static_cast<T>(map_.B_at(c)));
    values[2].push_back(static_cast<T>(mean[c]));
    values[3].push_back(static_cast<T>(var[c]));
  }
  return {{"scale", Tensor(shape, values[0])},
          {"B", Tensor(shape, values[1])},
          {"mean", Tensor(shape, values[2])},
          {"var", Tensor(shape, values[3])}};
}

template <class T>
void BatchNormalizationLayer<T>::normalize(std::int64_t points, const T* x, T* y,
                                           const ChannelStatistics& with) const {
  std::vector<std::pair<double, double>> affine(mean_.size());
  for (std::size_t c = 0; c < affine.size(); ++c)
    affine[c] =
        batch_normalization_channel(map_.scale_at(c), map_.B_at(c), with.mean[c], with.var[c], spec_.epsilon);
  for (std::int64_t r = 0; r < points; ++r) {
    for (std::size_t c = 0; c < affine.size(); ++c) {
      const std::size_t i = count_of(r * C()) + c;
      y[i] = static_cast<T>(affine[c].first * static_cast<double>(x[i]) + affine[c].second);
    }
  }
}

template class BatchNormalizationLayer<float>;
template class BatchNormalizationLayer<double>;

}  // namespace bnrun::train
