// Conv2D: the product of what each window sees with the filters.
#pragma once

#include "train/layers/linear.h"
#include "train/layers/windows.h"

namespace bnrun::train {

/// x[rows, H, W, C], y[rows, out_H, out_W, filters]; the kernel lies as [height, width, C, filters]. The
/// windows of a few images at a time are gathered, so that they stay in cache. In training a batch is cut into
/// parts that threads share, and what each says of the gradients is added in their order.
template <class T>
class Conv2DLayer final : public LinearLayer<T> {
 public:
  Conv2DLayer(const Conv2D& spec, const Shape& image);

  const Windows& windows() const { return windows_; }

  void use(ThreadPool* pool) override { pool_ = pool; }
  void forward(std::int64_t rows, const T* x, T* y) override;
  void infer(std::int64_t rows, const T* x, T* y) const override { apply(this->W(), this->b(), rows, x, y); }
  void backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) override;

  void apply(const T* W, const T* b, std::int64_t rows, const T* x, T* y) const override;
  bool reads_whole() const override { return false; }
  void gather(std::int64_t rows, const T* x, T* panels) const override;
  void scatter(std::int64_t rows, const T* dpanels, T* dx) const override;
  Tensor kernel_tensor(const T* W) const override;

 private:
  std::int64_t images_at_once() const;
  /// `panels` has room for the windows of images_at_once().
  void convolve(const T* W, const T* b, std::int64_t rows, const T* x, T* y, T* panels) const;
  std::int64_t panel_elements() const { return images_at_once() * this->positions() * this->K(); }
  std::int64_t parts(std::int64_t rows) const;
  void reserve();
  void backward_part(std::int64_t rows, const T* x, const T* dy, T* dx, T* gradients, int worker);

  Windows windows_;
  ThreadPool* pool_ = nullptr;
  std::vector<std::vector<T>> panels_, dpanels_;  // of each thread in training
  std::vector<T> gradients_;                      // dW and db of each part of a batch
};

extern template class Conv2DLayer<float>;
extern template class Conv2DLayer<double>;

}  // namespace bnrun::train
