// Layers that make images smaller without weights.
#pragma once

#include "train/layers/layer.h"
#include "train/layers/windows.h"

namespace bnrun::train {

/// The largest of each window; its gradient goes to the first that is.
template <class T>
class MaxPoolingLayer final : public Layer<T> {
 public:
  explicit MaxPoolingLayer(const Windows& windows);

  bool by_rows() const override { return true; }
  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;

 private:
  std::int64_t first_equal(const WindowPart& seen, const T* x, T value, std::int64_t c) const;

  Windows windows_;
};

/// The mean of those pixels of each window that lie in the image.
template <class T>
class AveragePoolingLayer final : public Layer<T> {
 public:
  explicit AveragePoolingLayer(const Windows& windows);

  bool by_rows() const override { return true; }
  void forward(std::int64_t rows, const T* x, T* y) override { infer(rows, x, y); }
  void infer(std::int64_t rows, const T* x, T* y) const override;
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;

 private:
  Windows windows_;
  std::vector<T> shares_;  // one over the pixels of each window
};

extern template class MaxPoolingLayer<float>;
extern template class MaxPoolingLayer<double>;
extern template class AveragePoolingLayer<float>;
extern template class AveragePoolingLayer<double>;

}  // namespace bnrun::train
