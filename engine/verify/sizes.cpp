#include "verify/sizes.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "base/elements.h"
#include "base/fail.h"
#include "graph/infer.h"

namespace bnrun {
namespace {

constexpr std::int64_t kOpenRows = -1;
/// Where two rows run and three do, any number of rows is taken to run.
constexpr std::int64_t kTryRows = 2;
constexpr std::int64_t kOdd = 5;
constexpr std::int64_t kEven = 32;
constexpr std::int64_t kLargestExtent = 1 << 15;
constexpr std::int64_t kMostElements = 1 << 24;
constexpr std::int64_t kMostComputed = 1 << 27;  ///< of a value on the way
/// More sizes at once, or more combinations of them, would be too many to try.
constexpr std::size_t kMostCombined = 3;
constexpr std::size_t kMostCombinations = 20'000;

/// Powers of two, halves between them, and sizes of images, mel bands, windows and seconds of sound.
constexpr std::int64_t kCommon[] = {1,   2,    3,    4,    6,    7,    8,    12,   16,  24,  28,
                                    40,  48,   64,   80,   96,   100,  112,  128,  160, 192, 224,
                                    256, 299,  320,  384,  400,  416,  448,  512,  600, 640, 768,
                                    800, 1024, 1280, 2048, 3000, 4096, 8000, 16000};

}  // namespace

OpenSizes::OpenSizes(const Graph& graph, std::span<const InputShape> given) : graph_(graph) {
  for (const InputShape& shape : given) {
    if (std::ranges::none_of(graph.inputs(), [&](ValueId id) { return graph.value(id).name == shape.name; }))
      fail(ErrorCode::invalid_input, "a shape is given for '{}', which is no input", shape.name);
  }
  std::map<std::string, std::int64_t> symbols;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    std::vector<Size>& sizes = inputs_.emplace_back();
    const auto own = std::ranges::find(given, value.name, &InputShape::name);
    if (own != given.end()) {
      const Shape& shape = own->shape;
      bool fits = !value.type.ranked() || value.type.rank() == shape.rank();
      for (std::size_t axis = 0; fits && value.type.ranked() && axis < shape.rank(); ++axis) {
        const Dim& dim = (*value.type.dims)[axis];
        fits = !dim.known() || dim.extent() == shape[axis];
      }
      if (!fits)
        fail(ErrorCode::invalid_input, "shape {} is given for input '{}', which is {}", to_string(shape),
             value.name, to_string(value.type));
      for (std::size_t axis = 0; axis < shape.rank(); ++axis) sizes.push_back({shape[axis]});
      continue;
    }
    if (value.constant.defined()) continue;
    for (std::size_t axis = 0; axis < value.type.rank(); ++axis) {
      const Dim& dim = (*value.type.dims)[axis];
      if (dim.known()) {
        sizes.push_back({dim.extent()});
        continue;
      }
      const std::string name = dim.symbolic() ? dim.name() : fmt::format("{} {}", value.name, axis);
      const auto [symbol, fresh] =
          symbols.try_emplace(name, axis == 0 ? kOpenRows : -2 - static_cast<std::int64_t>(extents_));
      if (fresh && axis != 0) ++extents_;
      rows_are_open_ = rows_are_open_ || symbol->second == kOpenRows;
      sizes.push_back({symbol->second});
    }
  }
}

std::vector<Shape> OpenSizes::shapes(std::int64_t rows, std::span<const std::int64_t> extents) const {
  std::vector<Shape> shapes;
  for (const auto& sizes : inputs_) {
    Shape shape;
    for (const auto [extent] : sizes)
      shape.push_back(extent >= 0           ? extent
                      : extent == kOpenRows ? rows
                                            : extents[static_cast<std::size_t>(-2 - extent)]);
    shapes.push_back(shape);
  }
  return shapes;
}

std::vector<std::int64_t> OpenSizes::candidates() const {
  std::vector<std::int64_t> list{kOdd, kEven};
  const auto add = [&](std::int64_t extent) {
    if (extent >= 1 && extent <= kLargestExtent && std::ranges::find(list, extent) == list.end())
      list.push_back(extent);
  };
  std::set<std::int64_t> suggested;
  for (const ValueId id : graph_.live_values()) {
    const Tensor& constant = graph_.value(id).constant;
    if (!constant.defined()) continue;
    const Shape& shape = constant.shape();
    if (constant.dtype() == DType::int64 && shape.rank() == 1 && shape[0] <= 8) {
      for (const std::int64_t extent : read_ints(constant.view())) {
        if (extent > 1) suggested.insert(extent);
      }
    }
    if (!is_floating(constant.dtype()) || shape.rank() != 2 || constant.elements() == 0) continue;
    for (const std::int64_t width : {shape[0], shape[1]}) {
      for (std::int64_t divisor = 1; divisor * divisor <= width; ++divisor) {
        if (width % divisor != 0) continue;
        suggested.insert(width / divisor);
        // Where a square image is flattened.
        const std::int64_t pixels = width / divisor;
        for (std::int64_t side = 2; side * side <= pixels; ++side) {
          if (side * side == pixels) suggested.insert(side);
        }
      }
    }
  }
  constexpr std::size_t kMostSuggested = 64;
  for (const std::int64_t extent : suggested) {
    if (list.size() < kMostSuggested) add(extent);
  }
  for (const std::int64_t extent : kCommon) add(extent);
  return list;
}

std::optional<OpenSizes::Found> OpenSizes::search(const std::function<bool(const std::vector<Shape>&)>& runs,
                                                  double seconds) const {
  const auto start = std::chrono::steady_clock::now();
  const auto late = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > seconds;
  };
  const auto accepts = [&](std::int64_t rows, std::span<const std::int64_t> extents) {
    const auto tried = shapes(rows, extents);
    std::int64_t elements = 0;
    for (const Shape& shape : tried) elements += shape.elements();
    return elements <= kMostElements && runs(tried);
  };
  const auto try_both = [&](std::span<const std::int64_t> extents) -> std::optional<Found> {
    std::vector<std::int64_t> same(extents.begin(), extents.end());
    if (accepts(kTryRows, same)) {
      const bool any = rows_are_open_ && accepts(kTryRows + 1, same);
      return Found{same, any ? std::nullopt : std::optional(kTryRows)};
    }
    if (rows_are_open_ && accepts(1, same)) return Found{same, 1};
    return std::nullopt;
  };
  const auto list = candidates();
  for (const std::int64_t extent : list) {
    if (auto found = try_both(std::vector<std::int64_t>(extents_, extent))) return found;
    if (extents_ == 0 || late()) break;
  }
  if (extents_ > 1 && extents_ <= kMostCombined) {
    const auto each = static_cast<std::ptrdiff_t>(
        std::pow(static_cast<double>(kMostCombinations), 1.0 / static_cast<double>(extents_)));
    const std::span<const std::int64_t> few =
        std::span(list).first(std::min(list.size(), static_cast<std::size_t>(each)));
    std::vector<std::vector<std::int64_t>> grid{{}};
    for (std::size_t k = 0; k < extents_; ++k) {
      std::vector<std::vector<std::int64_t>> longer;
      for (const auto& part : grid) {
        for (const std::int64_t extent : few) {
          longer.push_back(part);
          longer.back().push_back(extent);
        }
      }
      grid = std::move(longer);
    }
    const auto product = [](const std::vector<std::int64_t>& extents) {
      double elements = 1.0;
      for (const std::int64_t extent : extents) elements *= static_cast<double>(extent);
      return elements;
    };
    std::ranges::stable_sort(grid, {}, product);
    for (const auto& extents : grid) {
      if (late()) break;
      if (auto found = try_both(extents)) return found;
    }
  }
  for (const std::int64_t rows : list) {
    if (!rows_are_open_ || late()) break;
    const std::vector<std::int64_t> extents(extents_, kEven);
    if (accepts(rows, extents)) return Found{extents, rows};
  }
  return std::nullopt;
}

bool infers(const Graph& graph, std::span<const Shape> shapes) {
  Graph sized = graph;
  try {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const ValueId id = sized.inputs()[i];
      if (sized.value(id).constant.defined()) continue;
      Dims dims;
      for (const std::int64_t extent : shapes[i]) dims.emplace_back(extent);
      sized.set_type(id, {sized.value(id).type.dtype, std::move(dims)});
    }
    for (const NodeId id : sized.topological_order()) {
      infer_outputs(sized, id);
      for (const ValueId output : sized.node(id).outputs) {
        if (!output.valid() || !sized.value(output).type.static_shape()) continue;
        if (sized.value(output).type.shape().elements() > kMostComputed) return false;
      }
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) throw;
    return false;
  }
  return true;
}

}  // namespace bnrun
