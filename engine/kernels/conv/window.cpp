#include "kernels/conv/window.h"

#include <algorithm>

#include "base/numbers.h"

namespace bnrun {
namespace {

template <class F>
Shape collect(std::span<const WindowAxis> axes, F member) {
  Shape shape;
  for (const WindowAxis& axis : axes) shape.push_back(axis.*member);
  return shape;
}

}  // namespace

std::pair<std::int64_t, std::int64_t> WindowAxis::taps_inside(std::int64_t o) const {
  const std::int64_t start = position(o, 0);
  const std::int64_t first = start < 0 ? std::min(kernel, ceil_div(-start, dilation)) : 0;
  const std::int64_t last = start < input ? std::min(kernel, (input - start - 1) / dilation + 1) : 0;
  return {first, std::max(first, last)};
}

std::pair<std::int64_t, std::int64_t> WindowAxis::inner_outputs() const {
  const std::int64_t first = std::min(output, ceil_div(pad_begin, stride));
  const std::int64_t room = input + pad_begin - reach();
  const std::int64_t last = room < 0 ? 0 : std::min(output, room / stride + 1);
  return {first, std::max(first, last)};
}

Shape Window::input() const {
  return collect(axes, &WindowAxis::input);
}
Shape Window::output() const {
  return collect(axes, &WindowAxis::output);
}
Shape Window::kernel() const {
  return collect(axes, &WindowAxis::kernel);
}

}  // namespace bnrun
