#include "train/layers/folded_linear.h"

#include <algorithm>
#include <cmath>

#include "kernels/gemm/blas.h"
#include "kernels/gemm/dense.h"

namespace bnrun::train {
namespace {

/// visit(element, column) for every element of rows of `columns`.
template <class F>
void each_element(std::size_t elements, std::size_t columns, F visit) {
  for (std::size_t first = 0; first < elements; first += columns) {
    for (std::size_t n = 0; n < columns; ++n) visit(first + n, n);
  }
}

constexpr float kLargestWeight = 127.0F;
constexpr float kLargestBias = 2147483520.0F;  // the largest float that int32 holds

/// W [rows, columns] becomes what int8 holds of it; its steps.
template <class T>
std::vector<float> round_weights(std::vector<T>& W, std::size_t columns) {
  const auto steps = weight_steps(std::span<const T>(W), columns);
  each_element(W.size(), columns, [&](std::size_t i, std::size_t n) {
    W[i] = static_cast<T>(levels(static_cast<float>(W[i]), steps[n], kLargestWeight) * steps[n]);
  });
  return steps;
}

}  // namespace

template <class T>
FoldedLinearLayer<T>::FoldedLinearLayer(LinearLayer<T>& linear, BatchNormalizationLayer<T>* normalization,
                                        bool quantised)
    : Layer<T>(linear.inputs(), linear.outputs()),
      linear_(linear),
      normalization_(normalization),
      quantised_(quantised),
      W_(count_of(K() * N())),
      slope_(count_of(N()), 1.0),
      correction_(count_of(N()), 1.0),
      shift_(count_of(N())),
      dW_(W_.size()),
      sum_(count_of(N())),
      sum_z_(count_of(N())),
      dscale_(count_of(N())),
      to_mean_(count_of(N())),
      to_sigma_(count_of(N())),
      offset_(count_of(N())) {}

template <class T>
std::span<double> FoldedLinearLayer<T>::statistics() {
  return quantised_ ? range_.state() : std::span<double>();
}

template <class T>
double FoldedLinearLayer<T>::sigma(const ChannelStatistics& statistics, std::size_t n) const {
  return std::sqrt(statistics.var[n] + normalization_->epsilon());
}

template <class T>
typename FoldedLinearLayer<T>::Folded FoldedLinearLayer<T>::fold() const {
  const auto columns = count_of(N());
  Folded folded{std::vector<T>(linear_.W(), linear_.W() + K() * N()), std::vector<T>(columns)};
  if (normalization_ == nullptr) {
    for (std::size_t n = 0; n < columns; ++n) folded.b[n] = static_cast<T>(bias_at(n));
    return folded;
  }
  const auto running = normalization_->running();
  std::vector<double> slope(columns);
  for (std::size_t n = 0; n < columns; ++n) {
    slope[n] = normalization_->map().scale_at(n) / sigma(running, n);
    folded.b[n] = static_cast<T>((bias_at(n) - running.mean[n]) * slope[n] + normalization_->map().B_at(n));
  }
  each_element(folded.W.size(), columns, [&](std::size_t i, std::size_t n) {
    folded.W[i] = static_cast<T>(static_cast<double>(folded.W[i]) * slope[n]);
  });
  return folded;
}

/// Everything of `forward` but its result.
template <class T>
void FoldedLinearLayer<T>::prepare(std::int64_t rows, const T* x) {
  const auto columns = count_of(N());
  const std::int64_t M = rows * linear_.positions();
  panels_ = x;
  if (quantised_) {
    const std::span<const T> values(x, count_of(rows * this->inputs()));
    range_.observe(values);  // frozen statistics or not: what comes in goes on changing
    const InputSteps steps = range_.steps();
    gathered_.resize(values.size());
    std::transform(values.begin(), values.end(), gathered_.begin(), [&](T v) { return steps.rounded(v); });
    panels_ = gathered_.data();
  } else if (!linear_.reads_whole()) {
    gathered_.resize(count_of(M * K()));
    linear_.gather(rows, x, gathered_.data());
    panels_ = gathered_.data();
  }
  z_.resize(count_of(M * N()));
  if (normalization_ != nullptr && !frozen_) {
    h_.resize(z_.size());
    linear_.multiply(M, panels_, h_.data());
    normalization_->measure(M, h_.data());
  }
  for (std::size_t n = 0; normalization_ != nullptr && n < columns; ++n) {
    const auto with = frozen_ ? normalization_->running() : normalization_->batch();
    const double running = sigma(normalization_->running(), n);
    slope_[n] = normalization_->map().scale_at(n) / running;
    correction_[n] = frozen_ ? 1.0 : running / sigma(with, n);
    shift_[n] = (bias_at(n) - with.mean[n]) / sigma(with, n);
  }
  each_element(W_.size(), columns, [&](std::size_t i, std::size_t n) {
    W_[i] = static_cast<T>(static_cast<double>(linear_.W()[i]) * slope_[n]);
  });
  if (quantised_) round_weights(W_, columns);
}

template <class T>
void FoldedLinearLayer<T>::forward(std::int64_t rows, const T* x, T* y) {
  prepare(rows, x);
  const std::int64_t M = rows * linear_.positions();
  blas_gemm<T>(Transpose::no, Transpose::no, M, N(), K(), T(1), panels_, K(), W_.data(), N(), T(0), z_.data(),
               N());
  const auto columns = count_of(N());
  for (std::size_t n = 0; n < columns; ++n)
    offset_[n] = normalization_ == nullptr
                     ? bias_at(n)
                     : normalization_->map().scale_at(n) * shift_[n] + normalization_->map().B_at(n);
  each_element(count_of(M * N()), columns, [&](std::size_t i, std::size_t n) {
    y[i] = static_cast<T>(static_cast<double>(z_[i]) * correction_[n] + offset_[n]);
  });
}

template <class T>
void FoldedLinearLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) {
  const auto columns = count_of(N());
  const std::int64_t M = rows * linear_.positions();
  const auto elements = count_of(M * N());
  std::fill(sum_.begin(), sum_.end(), 0.0);
  std::fill(sum_z_.begin(), sum_z_.end(), 0.0);
  dz_.resize(elements);
  each_element(elements, columns, [&](std::size_t i, std::size_t n) {
    const auto d = static_cast<double>(dy[i]);
    sum_[n] += d;
    sum_z_[n] += d * static_cast<double>(z_[i]);
    dz_[i] = static_cast<T>(d * correction_[n]);
  });
  const bool by_batch = normalization_ != nullptr && !frozen_;
  if (by_batch) {
    // d sigma = -dy * z * correction / sigma - dy * scale * shift / sigma,  d mean = -dy * scale / sigma
    dh_.resize(elements);
    const auto batch = normalization_->batch();
    const double share = 1.0 / static_cast<double>(M);
    for (std::size_t n = 0; n < columns; ++n) {
      const double s = sigma(batch, n);
      const double scale = normalization_->map().scale_at(n);
      to_mean_[n] = -share * sum_[n] * scale / s;
      to_sigma_[n] = -share * (sum_z_[n] * correction_[n] + sum_[n] * scale * shift_[n]) / (s * s);
    }
    each_element(elements, columns, [&](std::size_t i, std::size_t n) {
      dh_[i] = static_cast<T>(to_mean_[n] + to_sigma_[n] * (static_cast<double>(h_[i]) - batch.mean[n]));
    });
  }
  backward_to_weights(M);
  if (dx == nullptr) return;
  backward_to_input(rows, by_batch, dx);
  if (!quantised_) return;
  const InputSteps steps = range_.steps();
  const double low = -static_cast<double>(steps.step) * steps.zero_point;
  const double high = low + static_cast<double>(steps.step) * 255.0;
  for (std::size_t i = 0; i < count_of(rows * this->inputs()); ++i) {
    if (static_cast<double>(x[i]) < low || static_cast<double>(x[i]) > high) dx[i] = T(0);
  }
}

template <class T>
void FoldedLinearLayer<T>::backward_to_input(std::int64_t rows, bool by_batch, T* dx) {
  const std::int64_t M = rows * linear_.positions();
  T* dP = dx;
  if (!linear_.reads_whole()) {
    dpanels_.resize(count_of(M * K()));
    dP = dpanels_.data();
  }
  blas_gemm<T>(Transpose::no, Transpose::yes, M, K(), N(), T(1), dz_.data(), N(), W_.data(), N(), T(0), dP,
               K());
  if (by_batch)
    blas_gemm<T>(Transpose::no, Transpose::yes, M, K(), N(), T(1), dh_.data(), N(), linear_.W(), N(), T(1),
                 dP, K());
  if (dP != dx) linear_.scatter(rows, dP, dx);
}

template <class T>
void FoldedLinearLayer<T>::backward_to_weights(std::int64_t M) {
  const auto columns = count_of(N());
  blas_gemm<T>(Transpose::yes, Transpose::no, K(), N(), M, T(1), panels_, K(), dz_.data(), N(), T(0),
               dW_.data(), N());
  std::fill(dscale_.begin(), dscale_.end(), 0.0);
  each_element(dW_.size(), columns, [&](std::size_t i, std::size_t n) {
    dscale_[n] += static_cast<double>(linear_.W()[i]) * static_cast<double>(dW_[i]);
    linear_.dW()[i] = static_cast<T>(static_cast<double>(dW_[i]) * slope_[n]);
  });
  if (normalization_ != nullptr) {
    const auto running = normalization_->running();
    for (std::size_t n = 0; n < columns; ++n)
      dscale_[n] = dscale_[n] / sigma(running, n) + sum_[n] * shift_[n];
    normalization_->map().set_gradients(dscale_, sum_);
    if (!frozen_)
      blas_gemm<T>(Transpose::yes, Transpose::no, K(), N(), M, T(1), panels_, K(), dh_.data(), N(), T(1),
                   linear_.dW(), N());
  }
  if (linear_.db() == nullptr) return;
  for (std::size_t n = 0; n < columns; ++n) {
    // What the batch's mean takes away again has no gradient.
    const double slope = normalization_ == nullptr ? 1.0 : frozen_ ? slope_[n] : 0.0;
    linear_.db()[n] = static_cast<T>(sum_[n] * slope);
  }
}

template <class T>
float FoldedLinearLayer<T>::bias_step(float weight_step) const {
  return range_.steps().step * weight_step;
}

template <class T>
void FoldedLinearLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  Folded folded = fold();
  if (!quantised_) return linear_.apply(folded.W.data(), folded.b.data(), rows, x, y);
  // With the engine's kernel, so that the exported model gives the same bits.
  const auto steps = round_weights(folded.W, count_of(N()));
  for (std::size_t n = 0; n < steps.size(); ++n) {
    const float step = bias_step(steps[n]);
    folded.b[n] = static_cast<T>(levels(static_cast<float>(folded.b[n]), step, kLargestBias) * step);
  }
  const InputSteps input = range_.steps();
  std::vector<T> rounded(x, x + rows * K());
  for (T& value : rounded) value = input.rounded(value);
  typename bnrun::Dense<T>::Epilogue epilogue;
  epilogue.shift = folded.b;
  bnrun::Dense<T>(K(), N(), folded.W.data(), epilogue, MatrixBackend::packed).run(rounded.data(), rows, y);
}

template <class T>
std::vector<std::pair<std::string, Tensor>> FoldedLinearLayer<T>::weights() const {
  const Folded folded = fold();
  if (!quantised_)
    return {{"W", linear_.kernel_tensor(folded.W.data())}, {"b", Tensor(Shape{N()}, folded.b)}};
  const auto steps = weight_steps(std::span<const T>(folded.W), count_of(N()));
  std::vector<std::int8_t> W;
  for (std::size_t i = 0; i < folded.W.size(); ++i)
    W.push_back(static_cast<std::int8_t>(
        levels(static_cast<float>(folded.W[i]), steps[i % steps.size()], kLargestWeight)));
  std::vector<std::int32_t> b;
  std::vector<float> b_steps;
  for (std::size_t n = 0; n < steps.size(); ++n) {
    b_steps.push_back(bias_step(steps[n]));
    b.push_back(static_cast<std::int32_t>(levels(static_cast<float>(folded.b[n]), b_steps[n], kLargestBias)));
  }
  const InputSteps input = range_.steps();
  return {{"W", Tensor(Shape{K(), N()}, W)},
          {"W_scale", Tensor(Shape{N()}, steps)},
          {"b", Tensor(Shape{N()}, b)},
          {"b_scale", Tensor(Shape{N()}, b_steps)},
          {"x_scale", Tensor(Shape{}, std::vector<float>{input.step})},
          {"x_zero_point", Tensor(Shape{}, std::vector<std::uint8_t>{input.zero_point})}};
}

template class FoldedLinearLayer<float>;
template class FoldedLinearLayer<double>;

}  // namespace bnrun::train
