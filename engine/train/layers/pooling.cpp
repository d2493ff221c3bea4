#include "train/layers/pooling.h"

#include <algorithm>
#include <limits>

namespace bnrun::train {
namespace {

/// visit(row, first channel in x, first channel in y, position) for each pixel of each window of each image.
template <class F>
void each_pixel_of(const Windows& windows, std::int64_t rows, F visit) {
  const std::int64_t outputs = windows.positions() * windows.C;
  for (std::int64_t r = 0; r < rows; ++r) {
    each_pixel(windows, [&](std::int64_t position, std::int64_t h, std::int64_t w) {
      visit(r * windows.pixels() + (h * windows.W + w) * windows.C, r * outputs + position * windows.C,
            position);
    });
  }
}

}  // namespace

template <class T>
MaxPoolingLayer<T>::MaxPoolingLayer(const Windows& windows)
    : Layer<T>(windows.pixels(), windows.positions() * windows.C), windows_(windows) {}

template <class T>
void MaxPoolingLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  std::fill_n(y, rows * this->outputs(), -std::numeric_limits<T>::infinity());
  each_pixel_of(windows_, rows, [&](std::int64_t from, std::int64_t to, std::int64_t /*position*/) {
    for (std::int64_t c = 0; c < windows_.C; ++c)
      y[to + c] = x[from + c] > y[to + c] || x[from + c] != x[from + c] ? x[from + c] : y[to + c];
  });
}

template <class T>
void MaxPoolingLayer<T>::backward(std::int64_t rows, const T* x, const T* y, const T* dy, T* dx) {
  if (dx == nullptr) return;
  std::fill_n(dx, rows * this->inputs(), T(0));
  for (std::int64_t r = 0; r < rows; ++r) {
    each_window(windows_, [&](std::int64_t position, const WindowPart& seen) {
      for (std::int64_t c = 0; c < windows_.C; ++c) {
        const std::int64_t of = position * windows_.C + c;
        const std::int64_t from = first_equal(seen, x, y[of], c);
        if (from >= 0) dx[from] += dy[of];
      }
    });
    x += this->inputs();
    dx += this->inputs();
    y += this->outputs();
    dy += this->outputs();
  }
}

/// The first element of channel c that a window sees and that is `value`, -1 where none is (NaN).
template <class T>
std::int64_t MaxPoolingLayer<T>::first_equal(const WindowPart& seen, const T* x, T value,
                                             std::int64_t c) const {
  for (std::int64_t h = seen.first_h; h < seen.end_h; ++h) {
    for (std::int64_t w = seen.first_w; w < seen.end_w; ++w) {
      const std::int64_t from = (h * windows_.W + w) * windows_.C + c;
      if (x[from] == value) return from;
    }
  }
  return -1;
}

template <class T>
AveragePoolingLayer<T>::AveragePoolingLayer(const Windows& windows)
    : Layer<T>(windows.pixels(), windows.positions() * windows.C),
      windows_(windows),
      shares_(count_of(windows.positions())) {
  each_pixel(windows, [&](std::int64_t position, std::int64_t /*h*/, std::int64_t /*w*/) {
    shares_[count_of(position)] += T(1);
  });
  for (T& share : shares_) share = T(1) / share;
}

template <class T>
void AveragePoolingLayer<T>::infer(std::int64_t rows, const T* x, T* y) const {
  std::fill_n(y, rows * this->outputs(), T(0));
  each_pixel_of(windows_, rows, [&](std::int64_t from, std::int64_t to, std::int64_t /*position*/) {
    for (std::int64_t c = 0; c < windows_.C; ++c) y[to + c] += x[from + c];
  });
  for (std::int64_t i = 0; i < rows * this->outputs(); ++i)
    y[i] *= shares_[count_of(i / windows_.C % windows_.positions())];
}

template <class T>
void AveragePoolingLayer<T>::backward(std::int64_t rows, const T* /*x*/, const T* /*y*/, const T* dy, T* dx) {
  if (dx == nullptr) return;
  std::fill_n(dx, rows * this->inputs(), T(0));
  each_pixel_of(windows_, rows, [&](std::int64_t to, std::int64_t from, std::int64_t position) {
    for (std::int64_t c = 0; c < windows_.C; ++c) dx[to + c] += dy[from + c] * shares_[count_of(position)];
  });
}

template class MaxPoolingLayer<float>;
template class MaxPoolingLayer<double>;
template class AveragePoolingLayer<float>;
template class AveragePoolingLayer<double>;

}  // namespace bnrun::train
