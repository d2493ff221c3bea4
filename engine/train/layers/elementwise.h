// Layers that have no weights.
#pragma once

#include "kernels/math/activation.h"
#include "train/layers/layer.h"

namespace bnrun::train {

/// What the engine's kernel computes for it; identity for softmax, which is none of a single element.
bnrun::Activation kernel_of(Activation kind);

/// y = f(x) of each element.
template <class T>
class ActivationLayer final : public Layer<T> {
 public:
  ActivationLayer(const bnrun::Activation& function, std::int64_t width)
      : Layer<T>(width, width), function_(function) {}

  bool by_rows() const override { return true; }
  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;

 private:
  bnrun::Activation function_;
};

/// y = exp(x - max) / sum exp(x - max) of each row; dx = y * (dy - sum dy * y).
template <class T>
class SoftmaxLayer final : public Layer<T> {
 public:
  explicit SoftmaxLayer(std::int64_t classes) : Layer<T>(classes, classes) {}

  bool by_rows() const override { return true; }
  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;
};

template <class T>
class DropoutLayer final : public Layer<T> {
 public:
  DropoutLayer(const Dropout& spec, std::int64_t width);

  void begin(const Step& step) override { step_ = step; }
  void forward(std::int64_t rows, const T* x, T* y) override { drop(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;

 private:
  void drop(std::int64_t rows, const T* x, T* y) const;

  double rate_;
  Step step_;
};

/// Passes x on: a linear activation, and a Shortcut, to whose x the stack has added what is to be added.
template <class T>
class PassingLayer final : public Layer<T> {
 public:
  explicit PassingLayer(std::int64_t width) : Layer<T>(width, width) {}

  bool by_rows() const override { return true; }
  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;
};

extern template class ActivationLayer<float>;
extern template class ActivationLayer<double>;
extern template class SoftmaxLayer<float>;
extern template class SoftmaxLayer<double>;
extern template class DropoutLayer<float>;
extern template class DropoutLayer<double>;
extern template class PassingLayer<float>;
extern template class PassingLayer<double>;

}  // namespace bnrun::train
