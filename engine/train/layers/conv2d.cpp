#include "train/layers/conv2d.h"

#include <algorithm>
#include <functional>

#include "base/fail.h"
#include "train/layers/shapes.h"
#include "train/parts.h"

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
void Conv2DLayer<T>::convolve(const T* W, const T* b, std::int64_t rows, const T* x, T* y, T* panels) const {
  const std::int64_t most = images_at_once();
  for (std::int64_t first = 0; first < rows; first += most) {
    const std::int64_t count = std::min(most, rows - first);
    gather(count, x + first * this->inputs(), panels);
    this->multiply(W, b, count * this->positions(), panels, y + first * this->outputs());
  }
}

template <class T>
void Conv2DLayer<T>::apply(const T* W, const T* b, std::int64_t rows, const T* x, T* y) const {
  std::vector<T> panels(count_of(panel_elements()));
  convolve(W, b, rows, x, y, panels.data());
}

template <class T>
std::int64_t Conv2DLayer<T>::parts(std::int64_t rows) const {
  return parts_of(rows, rows * this->positions() * this->K() * this->N());
}

/// Scratch memory of each thread.
template <class T>
void Conv2DLayer<T>::reserve() {
  const auto threads = static_cast<std::size_t>(threads_of(pool_));
  for (auto* of_threads : {&panels_, &dpanels_}) {
    if (of_threads->size() < threads) of_threads->resize(threads);
    for (auto& panels : *of_threads) panels.resize(count_of(panel_elements()));
  }
}

template <class T>
void Conv2DLayer<T>::forward(std::int64_t rows, const T* x, T* y) {
  reserve();
  each_part(pool_, rows, parts(rows),
            [&](std::int64_t /*part*/, std::int64_t first, std::int64_t count, int worker) {
              convolve(this->W(), this->b(), count, x + first * this->inputs(), y + first * this->outputs(),
                       panels_[static_cast<std::size_t>(worker)].data());
            });
}

template <class T>
void Conv2DLayer<T>::backward(std::int64_t rows, const T* x, const T* /*y*/, const T* dy, T* dx) {
  reserve();
  const std::int64_t count_of_parts = parts(rows);
  const std::int64_t size = this->K() * this->N() + this->N();
  gradients_.resize(std::max(gradients_.size(), count_of(count_of_parts * size)));
  each_part(pool_, rows, count_of_parts,
            [&](std::int64_t part, std::int64_t first, std::int64_t count, int worker) {
              backward_part(count, x + first * this->inputs(), dy + first * this->outputs(),
                            dx == nullptr ? nullptr : dx + first * this->inputs(),
                            gradients_.data() + part * size, worker);
            });
  const T* const first = gradients_.data();
  const auto gather_into = [&](T* out, std::int64_t from, std::int64_t count) {
    std::copy_n(first + from, count, out);
    for (std::int64_t part = 1; part < count_of_parts; ++part)
      std::transform(out, out + count, first + part * size + from, out, std::plus<T>{});
  };
  gather_into(this->dW(), 0, this->K() * this->N());
  if (this->db() != nullptr) gather_into(this->db(), this->K() * this->N(), this->N());
}

/// dW and then db of these rows into `gradients`.
template <class T>
void Conv2DLayer<T>::backward_part(std::int64_t rows, const T* x, const T* dy, T* dx, T* gradients,
                                   int worker) {
  T* const panels = panels_[static_cast<std::size_t>(worker)].data();
  T* const dpanels = dpanels_[static_cast<std::size_t>(worker)].data();
  const std::int64_t most = images_at_once();
  for (std::int64_t first = 0; first < rows; first += most) {
    const std::int64_t count = std::min(most, rows - first);
    const std::int64_t M = count * this->positions();
    const T* const dH = dy + first * this->outputs();
    gather(count, x + first * this->inputs(), panels);
    this->kernel_gradient(M, panels, dH, first == 0 ? T(0) : T(1), gradients);
    if (dx == nullptr) continue;
    this->panel_gradient(M, dH, dpanels);
    scatter(count, dpanels, dx + first * this->inputs());
  }
  this->bias_gradient(rows * this->positions(), dy, gradients + this->K() * this->N());
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
