// Y[n,p,c] = X[n,c,p] and back: transposes of the matrices of each image.
#include "program/layout_op.h"

#include <algorithm>

#include "base/numbers.h"
#include "base/strided_copy.h"
#include "base/transpose.h"
#include "op/layout.h"

namespace bnrun {
namespace {

class LayoutOp final : public Op {
 public:
  explicit LayoutOp(bool to_channels_last) : to_channels_last_(to_channels_last) {}

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!X.ranked()) return {{X.dtype, std::nullopt}};
    if (to_channels_last_) return {with_channels_last(X)};
    ValueType Y{X.dtype, X.dims};
    for (std::size_t i = 0; i < X.rank(); ++i) (*Y.dims)[i] = (*X.dims)[axis_with_channels_last(i, X.rank())];
    return {Y};
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const std::size_t rank = shape.rank();
    if (rank < 3) return copy_elements(args.in(0), args.out(0));
    const std::int64_t images = shape[0];
    const std::int64_t rows = to_channels_last_ ? shape[1] : shape.elements(1, rank - 1);
    const std::int64_t columns = to_channels_last_ ? shape.elements(2, rank) : shape[rank - 1];
    if (rows <= 1 || columns <= 1) return copy_elements(args.in(0), args.out(0));
    constexpr std::int64_t kLeastElements = 8192;  // that are worth another thread
    const std::int64_t least = std::max(kTransposeSide, kLeastElements / rows);
    const std::int64_t share = ceil_div(columns, static_cast<std::int64_t>(args.workspace.threads()));
    const std::int64_t part = rounded_up(std::max(share, least), kTransposeSide);
    const std::int64_t parts = ceil_div(columns, part);
    dispatch_moved(args.in(0).dtype, [&]<class T>() {
      args.workspace.parallel_for(images * parts, [&](std::int64_t task, std::byte*) {
        const std::int64_t image = task / parts * rows * columns;
        const std::int64_t first = task % parts * part;
        transpose(moved<T>(args.in(0)) + image, rows, columns, first, std::min(columns, first + part),
                  moved<T>(args.out(0)) + image);
      });
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(1, args.inputs[0].rank());
  }

 private:
  bool to_channels_last_;
};

}  // namespace

std::shared_ptr<const Op> make_layout_op(bool to_channels_last) {
  static const auto to = std::make_shared<const LayoutOp>(true);
  static const auto from = std::make_shared<const LayoutOp>(false);
  return to_channels_last ? to : from;
}

}  // namespace bnrun
