#include "train/layers/conv2d.h"

#include <algorithm>

#include "base/fail.h"
#include "train/layers/shapes.h"

namespace bnrun::train {
namespace {

const Conv2D& checked(const Conv2D& spec) {
  if (spec.filters < 1 || spec.filters > (std::int64_t{1} << 16))
    fail(ErrorCode::invalid_input, "a convolution of {} filters", spec.filters);
  return spec;
}

}  // namespace

template <class T>
Conv2DLayer<T>::Conv2DLayer(const Conv2D& spec, const Shape& image)
    : LinearLayer<T>(image.elements(), windows_of(checked(spec), image).positions() * spec.filters,
                     {.K = windows_of(spec, image).elements(),
                      .N = spec.filters,
                      .window = spec.kernel.height * spec.kernel.width,
                      .use_bias = spec.use_bias,
                      .initializer = spec.initializer,
                      .initial_scale = spec.initial_scale,
                      .name = "convolution"}),
      windows_(windows_of(spec, image)) {}

template <class T>
std::int64_t Conv2DLayer<T>::images_at_once() const {
  constexpr std::int64_t kInCache = 65536;
  return std::max<std::int64_t>(1, kInCache / (this->positions() * this->K()));
}

template <class T>
void Conv2DLayer<T>::gather(std::int64_t rows, const T* x, T* panels) const {
  for (std::int64_t r = 0; r < rows; ++r)
    gather_windows(windows_, x + r * this->inputs(), panels + r * this->positions() * this->K());
}

template <class T>
void Conv2DLayer<T>::scatter(std::int64_t rows, const T* dpanels, T* dx) const {
  std::fill_n(dx, rows * this->inputs(), T(0));
  for (std::int64_t r = 0; r < rows; ++r)
    scatter_windows(windows_, dpanels + r * this->positions() * this->K(), dx + r * this->inputs());
}

template <class T>
void Conv2DLayer<T>::convolve(const T* W, const T* b, std::int64_t rows, const T* x, T* y,
                              std::vector<T>& panels) const {
  const std::int64_t most = std::min(rows, images_at_once());
  panels.resize(std::max(panels.size(), count_of(most * this->positions() * this->K())));
  for (std::int64_t first = 0; first < rows; first += most) {
    const std::int64_t count = std::min(most, rows - first);
    gather(count, x + first * this->inputs(), panels.data());
    this->multiply(W, b, count * this->positions(), panels.data(), y + first * this->outputs());
  }
}

template <class T>
void Conv2DLayer<T>::forward(std::int64_t rows, const T* x, T* y) {
  convolve(this->W(), this->b(), rows, x, y, panels_);
}

template <class T>
void Conv2DLayer<T>::apply(const T* W, const T* b, std::int64_t rows, const T* x, T* y) const {
  std::vector<T> panels;
  convolve(W, b, rows, x, y, panels);
}

template <class T>
void Conv2DLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) {
  const std::int64_t most = std::min(rows, images_at_once());
  if (dx != nullptr) dpanels_.resize(std::max(dpanels_.size(), panels_.size()));
  for (std::int64_t first = 0; first < rows; first += most) {
    const std::int64_t count = std::min(most, rows - first);
    const std::int64_t M = count * this->positions();
    const T* const dH = dy + first * this->outputs();
    gather(count, x + first * this->inputs(), panels_.data());
    this->kernel_gradient(M, panels_.data(), dH, first == 0 ? T(0) : T(1), this->dW());
    if (dx == nullptr) continue;
    this->panel_gradient(M, dH, dpanels_.data());
    scatter(count, dpanels_.data(), dx + first * this->inputs());
  }
  this->bias_gradient(rows * this->positions(), dy);
}

/// [filters, C, height, width]
template <class T>
Tensor Conv2DLayer<T>::kernel_tensor(const T* W) const {
  const std::int64_t pixels = windows_.size.height * windows_.size.width;
  const std::int64_t C = windows_.C;
  std::vector<T> values(count_of(this->K() * this->N()));
  for (std::int64_t p = 0; p < pixels; ++p) {
    for (std::int64_t c = 0; c < C; ++c) {
      for (std::int64_t m = 0; m < this->N(); ++m)
        values[count_of((m * C + c) * pixels + p)] = W[(p * C + c) * this->N() + m];
    }
  }
  return Tensor(Shape{this->N(), C, windows_.size.height, windows_.size.width}, values);
}

template class Conv2DLayer<float>;
template class Conv2DLayer<double>;

}  // namespace bnrun::train
