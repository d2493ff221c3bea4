#include "train/layers/batch_normalization.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "affine/channel_affine.h"
#include "base/fail.h"
#include "train/parts.h"

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
std::int64_t BatchNormalizationLayer<T>::parts(std::int64_t points) const {
  constexpr std::int64_t kCost = 16;  // of an element
  return parts_of(points, points * C() * kCost);
}

template <class T>
template <class F>
void BatchNormalizationLayer<T>::sum_up(std::int64_t points, std::initializer_list<std::vector<double>*> into,
                                        F add) {
  const std::int64_t count_of_parts = parts(points);
  const auto width = static_cast<std::int64_t>(into.size()) * C();
  partial_.resize(std::max(partial_.size(), count_of(count_of_parts * width)));
  std::fill_n(partial_.begin(), count_of_parts * width, 0.0);
  each_part(pool_, points, count_of_parts,
            [&](std::int64_t part, std::int64_t first, std::int64_t count, int /*worker*/) {
              double* const sums = partial_.data() + part * width;
              for (std::int64_t r = first; r < first + count; ++r) {
                for (std::int64_t c = 0; c < C(); ++c) add(sums, c, r * C() + c);
              }
            });
  const double* from = partial_.data();
  for (std::vector<double>* sums : into) {
    std::copy_n(from, C(), sums->begin());
    for (std::int64_t part = 1; part < count_of_parts; ++part)
      std::transform(sums->begin(), sums->end(), from + part * width, sums->begin(), std::plus<>{});
    from += C();
  }
}

template <class T>
void BatchNormalizationLayer<T>::measure(std::int64_t points, const T* x) {
  sum_up(points, {&mean_},
         [x](double* sums, std::int64_t c, std::int64_t i) { sums[c] += static_cast<double>(x[i]); });
  for (double& mean : mean_) mean /= static_cast<double>(points);
  const double* const mean = mean_.data();
  sum_up(points, {&var_}, [x, mean](double* sums, std::int64_t c, std::int64_t i) {
    const double distance = static_cast<double>(x[i]) - mean[c];
    sums[c] += distance * distance;
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
  const std::int64_t points = points_of(rows);
  if (!frozen_) measure(points, x);
  make_maps(frozen_ ? running() : batch(), maps_);
  each_part(pool_, points, parts(points),
            [&](std::int64_t /*part*/, std::int64_t first, std::int64_t count, int /*worker*/) {
              map_points(count, x + first * C(), maps_, y + first * C());
            });
}

template <class T>
void BatchNormalizationLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  Maps maps;
  make_maps(running(), maps);
  map_points(points_of(rows), x, maps, y);
}

template <class T>
void BatchNormalizationLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) {
  const std::int64_t points = points_of(rows);
  const auto [means, vars] = frozen_ ? running() : batch();
  for (std::size_t c = 0; c < means.size(); ++c) {
    inverse_[c] = batch_normalization_channel(1.0, 0.0, means[c], vars[c], spec_.epsilon).first;
    slope_[c] = map_.scale_at(c) * inverse_[c];
  }
  const double* const mean = means.data();
  const double* const inverse = inverse_.data();
  const auto n = [=](std::int64_t c, std::int64_t i) {
    return (static_cast<double>(x[i]) - mean[c]) * inverse[c];
  };
  sum_up(points, {&sum_, &sum_n_}, [&, C = C()](double* sums, std::int64_t c, std::int64_t i) {
    sums[c] += static_cast<double>(dy[i]);
    sums[C + c] += static_cast<double>(dy[i]) * n(c, i);
  });
  map_.set_gradients(sum_n_, sum_);
  if (dx == nullptr) return;
  const double share = frozen_ ? 0.0 : 1.0 / static_cast<double>(points);
  each_part(pool_, points, parts(points),
            [&](std::int64_t /*part*/, std::int64_t first, std::int64_t count, int /*worker*/) {
              for (std::int64_t r = first; r < first + count; ++r) {
                for (std::int64_t c = 0; c < C(); ++c) {
                  const std::int64_t i = r * C() + c;
                  const double from_others = share * (sum_[count_of(c)] + n(c, i) * sum_n_[count_of(c)]);
                  dx[i] = static_cast<T>(slope_[count_of(c)] * (static_cast<double>(dy[i]) - from_others));
                }
              }
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
void BatchNormalizationLayer<T>::make_maps(const ChannelStatistics& with, Maps& maps) const {
  maps.resize(with.mean.size());
  for (std::size_t c = 0; c < maps.size(); ++c)
    maps[c] =
        batch_normalization_channel(map_.scale_at(c), map_.B_at(c), with.mean[c], with.var[c], spec_.epsilon);
}

template <class T>
void BatchNormalizationLayer<T>::map_points(std::int64_t points, const T* x, const Maps& maps, T* y) const {
  for (std::int64_t r = 0; r < points; ++r) {
    for (std::size_t c = 0; c < maps.size(); ++c) {
      const std::size_t i = count_of(r * C()) + c;
      y[i] = static_cast<T>(maps[c].first * static_cast<double>(x[i]) + maps[c].second);
    }
  }
}

template class BatchNormalizationLayer<float>;
template class BatchNormalizationLayer<double>;

}  // namespace bnrun::train
