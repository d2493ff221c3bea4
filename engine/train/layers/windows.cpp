#include "train/layers/windows.h"

#include "base/fail.h"
#include "base/numbers.h"

namespace bnrun::train {
namespace {

/// One axis: what lies before and behind it, and how many windows there are.
struct Axis {
  std::int64_t before = 0;
  std::int64_t behind = 0;
  std::int64_t windows = 0;
};

Axis axis_of(std::int64_t extent, std::int64_t size, std::int64_t stride, Padding padding) {
  if (padding == Padding::valid) return {0, 0, extent < size ? 0 : (extent - size) / stride + 1};
  const std::int64_t windows = ceil_div(extent, stride);
  const std::int64_t around = std::max<std::int64_t>(0, (windows - 1) * stride + size - extent);
  return {around / 2, around - around / 2, windows};
}

/// visit(first pixel of the image, first of the panels, elements) for the rows that windows see whole.
template <class F>
void each_run(const Windows& w, F visit) {
  for (std::int64_t oh = 0; oh < w.out_H; ++oh) {
    for (std::int64_t ow = 0; ow < w.out_W; ++ow) {
      const std::int64_t h0 = oh * w.strides.height - w.top;
      const std::int64_t w0 = ow * w.strides.width - w.left;
      const std::int64_t first = std::max<std::int64_t>(0, -w0);
      const std::int64_t end = std::min(w.size.width, w.W - w0);
      if (end <= first) continue;
      for (std::int64_t i = std::max<std::int64_t>(0, -h0); i < std::min(w.size.height, w.H - h0); ++i)
        visit(((h0 + i) * w.W + w0 + first) * w.C,
              (oh * w.out_W + ow) * w.elements() + (i * w.size.width + first) * w.C, (end - first) * w.C);
    }
  }
}

}  // namespace

Windows windows_over(const Shape& image, const Size2D& size, const Size2D& strides, Padding padding,
                     const char* what) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 16;
  const auto sensible = [](const Size2D& s) {
    return s.height >= 1 && s.width >= 1 && s.height <= kLargest && s.width <= kLargest;
  };
  if (!sensible(size) || !sensible(strides))
    fail(ErrorCode::invalid_input, "{} of {}x{} with strides of {}x{}", what, size.height, size.width,
         strides.height, strides.width);
  const Axis rows = axis_of(image[0], size.height, strides.height, padding);
  const Axis columns = axis_of(image[1], size.width, strides.width, padding);
  if (rows.windows < 1 || columns.windows < 1)
    fail(ErrorCode::invalid_input,
         "{} of {}x{} on an image of {}x{}, which is smaller: take a smaller one, or padding that keeps the "
         "size (same)",
         what, size.height, size.width, image[0], image[1]);
  return {.H = image[0],
          .W = image[1],
          .C = image[2],
          .size = size,
          .strides = strides,
          .top = rows.before,
          .left = columns.before,
          .bottom = rows.behind,
          .right = columns.behind,
          .out_H = rows.windows,
          .out_W = columns.windows};
}

template <class T>
void gather_windows(const Windows& w, const T* image, T* panels) {
  const bool padded = w.top > 0 || w.left > 0 || w.bottom > 0 || w.right > 0;
  if (padded) std::fill_n(panels, w.positions() * w.elements(), T(0));
  each_run(w, [&](std::int64_t from, std::int64_t to, std::int64_t count) {
    std::copy_n(image + from, count, panels + to);
  });
}

template <class T>
void scatter_windows(const Windows& w, const T* panels, T* image) {
  each_run(w, [&](std::int64_t to, std::int64_t from, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) image[to + i] += panels[from + i];
  });
}

template void gather_windows(const Windows&, const float*, float*);
template void gather_windows(const Windows&, const double*, double*);
template void scatter_windows(const Windows&, const float*, float*);
template void scatter_windows(const Windows&, const double*, double*);

}  // namespace bnrun::train
