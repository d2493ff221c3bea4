#include "train/stack.h"

#include <algorithm>

#include "base/fail.h"

namespace bnrun::train {

template <class T>
Stack<T>::Stack(std::int64_t inputs, std::span<const LayerSpec> specs) {
  if (inputs < 1) fail(ErrorCode::invalid_input, "a network of {} inputs", inputs);
  const auto is_softmax = [](const LayerSpec& spec) {
    const auto* kind = std::get_if<Activation>(&spec);
    return kind != nullptr && *kind == Activation::softmax;
  };
  const auto is_dense = [](const LayerSpec& spec) { return std::holds_alternative<Dense>(spec); };
  if (std::none_of(specs.begin(), specs.end(), is_dense)) {
    fail(ErrorCode::invalid_input, "a network needs at least one dense layer");
  }
  softmax_ = is_softmax(specs.back());
  if (std::any_of(specs.begin(), specs.end() - 1, is_softmax)) {
    fail(ErrorCode::invalid_input, "softmax is supported as the last layer only");
  }
  widest_ = inputs;
  std::int64_t trainable = 0;
  for (const LayerSpec& spec : specs) {
    layers_.push_back(make_layer<T>(spec, layers_.empty() ? inputs : outputs()));
    widest_ = std::max(widest_, outputs());
    trainable += layers_.back()->trainable();
  }
  weights_.resize(static_cast<std::size_t>(trainable));
  gradients_.resize(weights_.size());
  T* weight = weights_.data();
  T* gradient = gradients_.data();
  for (const auto& layer : layers_) {
    layer->bind(weight, gradient);
    weight += layer->trainable();
    gradient += layer->trainable();
  }
  outputs_.resize(layers_.size());
}

template <class T>
void Stack<T>::initialize(Random& random) {
  for (const auto& layer : layers_) layer->initialize(random);
}

template <class T>
void Stack<T>::reserve(std::int64_t rows) {
  if (rows <= reserved_rows_) return;
  reserved_rows_ = rows;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    outputs_[i].resize(static_cast<std::size_t>(rows * layers_[i]->outputs()));
  }
  upper_.resize(static_cast<std::size_t>(rows * widest_));
  lower_.resize(upper_.size());
}

template <class T>
double Stack<T>::forward(const Batch<T>& batch) {
  reserve(batch.rows);
  const T* x = batch.features;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    layers_[i]->forward(batch.rows, x, outputs_[i].data());
    x = outputs_[i].data();
  }
  if (!softmax_) return mean_squared_error(batch, outputs(), x, upper_.data());
  return cross_entropy(batch, outputs(), outputs_[layers_.size() - 2].data(), x, upper_.data());
}

template <class T>
void Stack<T>::backward(const Batch<T>& batch) {
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const T* x = i == 0 ? batch.features : outputs_[i - 1].data();
    layers_[i]->backward(batch.rows, x, outputs_[i].data(), upper_.data(), i == 0 ? nullptr : lower_.data());
    std::swap(upper_, lower_);
  }
}

template <class T>
std::span<const T> Stack<T>::output(const Batch<T>& batch) const {
  return {outputs_.back().data(), static_cast<std::size_t>(batch.rows * outputs())};
}

template <class T>
void Stack<T>::infer(std::int64_t rows, const T* x, T* y) const {
  constexpr std::int64_t kRowsAtOnce = 256;
  const std::int64_t most = std::min(rows, kRowsAtOnce);
  std::vector<T> from(static_cast<std::size_t>(most * widest_));
  std::vector<T> to(from.size());
  for (std::int64_t first = 0; first < rows; first += kRowsAtOnce) {
    const std::int64_t count = std::min(kRowsAtOnce, rows - first);
    std::copy_n(x + first * inputs(), count * inputs(), from.begin());
    for (const auto& layer : layers_) {
      layer->infer(count, from.data(), to.data());
      std::swap(from, to);
    }
    std::copy_n(from.begin(), count * outputs(), y + first * outputs());
  }
}

template class Stack<float>;
template class Stack<double>;

}  // namespace bnrun::train
