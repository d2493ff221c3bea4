// BatchNormalization: n = (x - mean) / sqrt(var + epsilon),  y = scale * n + B.
#pragma once

#include <initializer_list>

#include "train/layers/layer.h"
#include "train/layers/learned_map.h"

namespace bnrun::train {

/// A mean and a variance for each channel.
struct ChannelStatistics {
  std::span<const double> mean;
  std::span<const double> var;
};

// With the batch's mean and population variance
//   dB = sum dy,  dscale = sum dy * n,
//   dx = scale / sqrt(var + epsilon) * (dy - dB / rows - n * dscale / rows)
// (Ioffe and Szegedy 2015, section 3); with frozen ones dx = scale / sqrt(var + epsilon) * dy.
template <class T>
class BatchNormalizationLayer final : public Layer<T> {
 public:
  /// Of rows that are `positions` times all channels: the pixels of an image, or 1.
  BatchNormalizationLayer(const BatchNormalization& spec, std::int64_t channels, std::int64_t positions);

  std::int64_t trainable() const override { return map_.trainable(); }
  /// The running means, then the running variances.
  std::span<double> statistics() override { return statistics_; }
  void bind(T* weights, T* gradients) override { map_.bind(weights, gradients); }
  void initialize(Random& /*random*/) override { map_.initialize(); }
  void freeze_statistics(bool frozen) override { frozen_ = frozen; }
  void use(ThreadPool* pool) override { pool_ = pool; }
  void forward(std::int64_t rows, const T* x, T* y) override;
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;
  std::vector<std::pair<std::string, Tensor>> weights() const override;

  // -------- for the layer that folds it

  /// Mean and population variance of x[points, channels], kept as `batch()`; the running ones follow.
  void measure(std::int64_t points, const T* x);
  ChannelStatistics batch() const { return {mean_, var_}; }
  ChannelStatistics running() const;
  bool frozen() const { return frozen_; }
  double epsilon() const { return spec_.epsilon; }
  const LearnedMap<T>& map() const { return map_; }
  LearnedMap<T>& map() { return map_; }

 private:
  std::int64_t C() const { return channels_; }
  std::int64_t points_of(std::int64_t rows) const { return rows * (this->outputs() / channels_); }
  using Maps = std::vector<std::pair<double, double>>;
  /// The slope and offset of each channel that they make.
  void make_maps(const ChannelStatistics& with, Maps& maps) const;
  void map_points(std::int64_t points, const T* x, const Maps& maps, T* y) const;
  std::int64_t parts(std::int64_t points) const;
  /// add(sums, channel, element) for every element; `sums` are those of a part, one for each of the vectors and
  /// each channel, which end up in the vectors.
  template <class F>
  void sum_up(std::int64_t points, std::initializer_list<std::vector<double>*> into, F add);

  BatchNormalization spec_;
  std::int64_t channels_;
  LearnedMap<T> map_;
  bool frozen_ = false;
  std::vector<double> statistics_;
  std::vector<double> mean_, var_;                     // of the batch
  std::vector<double> inverse_, slope_, sum_, sum_n_;  // of backward
  std::vector<double> partial_;                        // sums of each part
  Maps maps_;                                          // of forward
  ThreadPool* pool_ = nullptr;
};

extern template class BatchNormalizationLayer<float>;
extern template class BatchNormalizationLayer<double>;

}  // namespace bnrun::train
