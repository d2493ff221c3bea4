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
    : Layer<T>(windows.pixels(), windows.positions() * windows.C),
      windows_(windows),
      taken_(count_of(this->outputs())) {}

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
    std::fill(taken_.begin(), taken_.end(), false);
    each_pixel_of(windows_, 1, [&](std::int64_t from, std::int64_t to, std::int64_t /*position*/) {
      for (std::int64_t c = 0; c < windows_.C; ++c) {
        if (taken_[count_of(to + c)] || x[from + c] != y[to + c]) continue;
        taken_[count_of(to + c)] = true;
        dx[from + c] += dy[to + c];
      }
    });
    x += this->inputs();
    dx += this->inputs();
    y += this->outputs();
    dy += this->outputs();
  }
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
