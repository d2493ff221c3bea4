// Windows that slide over images.
#pragma once

#include <algorithm>
#include <cstdint>

#include "bnrun/train_network.h"

namespace bnrun::train {

/// Over an image [H, W, C]; output position (oh, ow) sees rows oh * strides.height - top and on.
struct Windows {
  std::int64_t H = 1, W = 1, C = 1;
  Size2D size, strides;
  std::int64_t top = 0, left = 0, bottom = 0, right = 0;
  std::int64_t out_H = 1, out_W = 1;

  std::int64_t pixels() const { return H * W * C; }
  std::int64_t positions() const { return out_H * out_W; }
  std::int64_t elements() const { return size.height * size.width * C; }
};

/// `what` names the layer in messages. Throws invalid_input when the image has no place for a window.
Windows windows_over(const Shape& image, const Size2D& size, const Size2D& strides, Padding padding,
                     const char* what);

/// The pixels of a window that lie in the image.
struct WindowPart {
  std::int64_t first_h = 0, end_h = 0, first_w = 0, end_w = 0;
};

/// visit(position, part) for every window.
template <class F>
void each_window(const Windows& w, F visit) {
  for (std::int64_t oh = 0; oh < w.out_H; ++oh) {
    for (std::int64_t ow = 0; ow < w.out_W; ++ow) {
      const std::int64_t h0 = oh * w.strides.height - w.top;
      const std::int64_t w0 = ow * w.strides.width - w.left;
      visit(oh * w.out_W + ow, WindowPart{std::max<std::int64_t>(0, h0), std::min(w.H, h0 + w.size.height),
                                          std::max<std::int64_t>(0, w0), std::min(w.W, w0 + w.size.width)});
    }
  }
}

/// visit(position, h, w) for every pixel (h, w) of every window that lies in the image.
template <class F>
void each_pixel(const Windows& windows, F visit) {
  each_window(windows, [&](std::int64_t position, const WindowPart& seen) {
    for (std::int64_t h = seen.first_h; h < seen.end_h; ++h) {
      for (std::int64_t w = seen.first_w; w < seen.end_w; ++w) visit(position, h, w);
    }
  });
}

/// panels[positions, elements] of one image: what each window sees, zeros around the image.
template <class T>
void gather_windows(const Windows& w, const T* image, T* panels);
/// The other way round: adds what was gathered from a pixel to it.
template <class T>
void scatter_windows(const Windows& w, const T* panels, T* image);

extern template void gather_windows(const Windows&, const float*, float*);
extern template void gather_windows(const Windows&, const double*, double*);
extern template void scatter_windows(const Windows&, const float*, float*);
extern template void scatter_windows(const Windows&, const double*, double*);

}  // namespace bnrun::train
