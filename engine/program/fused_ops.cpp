#include "program/fused_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/strided_copy.h"
#include "base/transpose.h"
#include "kernels/math/rows.h"
#include "op/layout.h"
#include "op/prepared.h"

namespace bnrun {
namespace {

template <class T, class Layer = Dense<T>>
class DenseOp final : public Op {
 public:
  explicit DenseOp(Layer dense) : dense_(std::move(dense)) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (X.dtype != dtype_of<T>)
      fail(ErrorCode::invalid_model, "X is {}, W is {}", name_of(X.dtype), name_of(dtype_of<T>));
    ValueType Y{X.dtype, X.dims};
    if (!X.ranked()) return {Y};
    if (X.rank() == 0 || (X.dims->back().known() && !(X.dims->back() == Dim(dense_.K()))))
      fail(ErrorCode::invalid_model, "X is {}, W has {} rows", to_string(X), dense_.K());
    Y.dims->back() = Dim(dense_.N());
    return {Y};
  }

  DimProduct macs(const FoldArgs& args) const override {
    DimProduct macs = DimProduct::of(args.outputs[0]);
    return macs *= Dim(dense_.K());
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    dense_.run(args.in(0).data<T>(), shape.elements(0, shape.rank() - 1), args.out(0).data<T>(),
               args.workspace);
  }

  std::size_t scratch_bytes(std::span<const ValueType>) const override {
    if constexpr (requires { dense_.scratch_bytes(); }) return dense_.scratch_bytes();
    return 0;
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked() || args.inputs[0].rank() < 2) return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank() - 1, args.inputs[0].rank());
  }

 private:
  Layer dense_;
};

/// `values` in T, or nullopt when one leaves its range; a scale that loses digits to underflow does as well.
template <class T>
std::optional<std::vector<T>> narrow(const std::vector<double>& values, bool normal_only) {
  std::vector<T> narrowed;
  for (const double value : values) {
    const auto x = static_cast<T>(value);
    if (!std::isfinite(x)) return std::nullopt;
    if (normal_only && value != 0.0 && std::abs(x) < std::numeric_limits<T>::min()) return std::nullopt;
    narrowed.push_back(x);
  }
  return narrowed;
}

template <class T>
std::shared_ptr<const Op> make_dense(const Tensor& W, const ChannelAffine& affine,
                                     const Activation& activation, const ChannelAffine& behind,
                                     MatrixBackend backend) {
  auto epilogue = epilogue_of<T>(affine, activation);
  if (!behind.is_identity()) {
    epilogue.scale_behind = *narrow<T>(behind.scale, true);
    epilogue.shift_behind = *narrow<T>(behind.shift, false);
  }
  return std::make_shared<DenseOp<T>>(Dense<T>(W.shape()[0], W.shape()[1], W.data<T>(), epilogue, backend));
}

class ChannelAffineOp final : public Op, public WorksInParts, public IsPrologue {
 public:
  ChannelAffineOp(ChannelAffine affine, const Activation& activation)
      : affine_(std::move(affine)), activation_(activation), shift_(affine_.shift) {
    // -0 keeps the sign of a zero
    if (!affine_.has_shift()) shift_.assign(affine_.channels(), -0.0);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (!affine_.uniform() && X.ranked()) {
      const auto axis = static_cast<std::size_t>(affine_.axis);
      const auto channels = static_cast<std::int64_t>(affine_.channels());
      if (axis >= X.rank() || ((*X.dims)[axis].known() && !((*X.dims)[axis] == Dim(channels))))
        fail(ErrorCode::invalid_model, "X is {}, which has no {} channels on axis {}", to_string(X), channels,
             axis);
    }
    return {{X.dtype, X.dims}};
  }

  void run(const RunArgs& args) const override {
    dispatch(TypeList<float, double>{}, args.in(0).dtype, [&]<class T>() {
      const Shape& shape = args.in(0).shape;
      const std::size_t axis = affine_.uniform() ? 0 : static_cast<std::size_t>(affine_.axis);
      const std::int64_t outer = affine_.uniform() ? 1 : shape.elements(0, axis);
      const std::int64_t inner = shape.elements(affine_.uniform() ? 0 : axis + 1, shape.rank());
      const T* x = args.in(0).data<T>();
      T* y = args.out(0).data<T>();
      if (affine_.is_identity()) return activate<T>(activation_, args.in(0).span<T>(), y);
      const auto channels = static_cast<std::int64_t>(affine_.channels());
      for (std::int64_t o = 0; o < outer; ++o) {
        if (inner == 1) {
          row_kernels<T>().map(x, channels, affine_.scale.data(), shift_.data(), y);
        } else {
          for (std::size_t c = 0; c < affine_.channels(); ++c) {
            const auto first = static_cast<std::int64_t>(c) * inner;
            row_kernels<T>().scale(x + first, inner, 0.0, affine_.scale[c], shift_[c], y + first);
          }
        }
        x += channels * inner;
        y += channels * inner;
      }
      activate(activation_, args.out(0).span<T>());
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    auto map = elementwise_axes(args);
    if (map && !affine_.uniform()) map = std::move(*map).without(static_cast<std::size_t>(affine_.axis));
    return map;
  }

  std::optional<ChannelPrologue> prologue() const override {
    if (affine_.has_scale()) return std::nullopt;
    return ChannelPrologue{affine_, activation_};
  }

  bool has_parts(std::size_t axis, std::size_t) const override {
    return affine_.uniform() || axis != static_cast<std::size_t>(affine_.axis);
  }

  std::optional<ChannelsLast> channels_last(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    ChannelAffine moved = affine_;
    if (!moved.uniform())
      moved.axis = static_cast<int>(
          axis_with_channels_last(static_cast<std::size_t>(moved.axis), args.inputs[0].rank()));
    return ChannelsLast{std::make_shared<ChannelAffineOp>(std::move(moved), activation_)};
  }

 private:
  ChannelAffine affine_;
  Activation activation_;
  std::vector<double> shift_;  ///< one a channel
};

template <class T>
class NormalisationOp final : public Op, public WorksInParts {
 public:
  explicit NormalisationOp(const Normalisation& of)
      : axes_(of.axes),
        width_(of.width),
        epsilon_(of.epsilon),
        centred_(of.centred),
        scale_(parameter(of.scale, of.width)),
        shift_(parameter(of.shift, of.width)) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    return {{args.inputs[0].dtype, args.inputs[0].dims}};
  }

  void run(const RunArgs& args) const override {
    const T* x = args.in(0).data<T>();
    T* y = args.out(0).data<T>();
    const std::int64_t rows = args.in(0).shape.elements(0, args.in(0).shape.rank() - axes_);
    for (std::int64_t row = 0; row < rows; ++row, x += width_, y += width_) {
      const RowStatistics s = statistics_of(x, width_, epsilon_, centred_);
      row_kernels<T>().normalise(x, width_, s.mean, s.inverse_deviation,
                                 scale_.empty() ? nullptr : scale_.data(),
                                 shift_.empty() ? nullptr : shift_.data(), y);
    }
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank() - axes_, args.inputs[0].rank());
  }
  bool has_parts(std::size_t axis, std::size_t rank) const override { return axis + axes_ < rank; }

 private:
  static std::vector<T> parameter(const Tensor* values, std::int64_t width) {
    if (values == nullptr) return {};
    const std::span<const T> given = values->view().span<T>();
    if (given.size() == 1) return std::vector<T>(static_cast<std::size_t>(width), given[0]);
    return {given.begin(), given.end()};
  }

  std::size_t axes_;
  std::int64_t width_;
  double epsilon_;
  bool centred_;
  std::vector<T> scale_;
  std::vector<T> shift_;
};

class ChannelShuffleOp final : public Op, public WorksInParts {
 public:
  ChannelShuffleOp(std::int64_t rows, bool channels_last) : rows_(rows), channels_last_(channels_last) {}

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (X.ranked()) {
      const Dim& channels = (*X.dims)[axis_in(X.rank())];
      if (channels.known() && channels.extent() % rows_ != 0)
        fail(ErrorCode::invalid_model, "X is {}, whose channels are not {} times as many", to_string(X),
             rows_);
    }
    return {{X.dtype, X.dims}};
  }

  void run(const RunArgs& args) const override {
    const Shape& X = args.in(0).shape;
    const std::size_t axis = axis_in(X.rank());
    const std::int64_t columns = X[axis] / rows_;
    const std::int64_t inner = X.elements(axis + 1, X.rank());
    const Shape matrix{X.elements(0, axis), rows_, columns, inner};
    if (inner == 1) {
      dispatch_moved(args.in(0).dtype, [&]<class T>() {
        for (std::int64_t at = 0; at < X.elements(); at += rows_ * columns)
          transpose(moved<T>(args.in(0)) + at, rows_, columns, 0, columns, moved<T>(args.out(0)) + at);
      });
      return;
    }
    Walk to = walk_of(matrix);
    to.strides[1] = inner;
    to.strides[2] = rows_ * inner;
    copy_strided(args.in(0), walk_of(matrix), args.out(0), to, matrix);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!args.inputs[0].ranked()) return std::nullopt;
    const std::size_t rank = args.inputs[0].rank();
    return AxisMap::identity(rank).without(axis_in(rank));
  }

  bool has_parts(std::size_t axis, std::size_t rank) const override { return axis != axis_in(rank); }

  std::optional<ChannelsLast> channels_last(const FoldArgs&) const override {
    return ChannelsLast{std::make_shared<ChannelShuffleOp>(rows_, true)};
  }

 private:
  std::size_t axis_in(std::size_t rank) const { return channels_last_ ? rank - 1 : 1; }

  std::int64_t rows_;
  bool channels_last_;
};

}  // namespace

bool epilogue_fits(DType dtype, const ChannelAffine& affine) {
  const auto fits = [&]<class T>() {
    return narrow<T>(affine.scale, true).has_value() && narrow<T>(affine.shift, false).has_value();
  };
  return dtype == DType::float64 ? fits.operator()<double>() : fits.operator()<float>();
}

template <class T>
typename Dense<T>::Epilogue epilogue_of(const ChannelAffine& affine, const Activation& activation) {
  auto scale = narrow<T>(affine.scale, true);
  auto shift = narrow<T>(affine.shift, false);
  if (!affine.has_scale()) scale->clear();
  if (!affine.has_shift()) shift->clear();
  return {std::move(*scale), std::move(*shift), activation};
}

template Dense<float>::Epilogue epilogue_of<float>(const ChannelAffine&, const Activation&);
template Dense<double>::Epilogue epilogue_of<double>(const ChannelAffine&, const Activation&);

std::shared_ptr<const Op> make_dense_op(const Tensor& W, const ChannelAffine& affine,
                                        const Activation& activation, const ChannelAffine& behind,
                                        MatrixBackend backend) {
  return W.dtype() == DType::float32 ? make_dense<float>(W, affine, activation, behind, backend)
                                     : make_dense<double>(W, affine, activation, behind, backend);
}

std::shared_ptr<const Op> make_bfloat16_dense_op(const Tensor& W, const ChannelAffine& affine,
                                                 const Activation& activation) {
  auto epilogue = epilogue_of<float>(affine, activation);
  DenseBfloat16 layer(W.shape()[0], W.shape()[1], W.data<BFloat16>(),
                      {std::move(epilogue.scale), std::move(epilogue.shift), activation});
  return std::make_shared<DenseOp<BFloat16, DenseBfloat16>>(std::move(layer));
}

std::shared_ptr<const Op> make_channel_affine_op(const ChannelAffine& affine, const Activation& activation) {
  return std::make_shared<ChannelAffineOp>(affine, activation);
}

std::shared_ptr<const Op> make_channel_shuffle_op(std::int64_t rows) {
  return std::make_shared<ChannelShuffleOp>(rows, false);
}

std::shared_ptr<const Op> make_normalisation_op(DType dtype, const Normalisation& normalisation) {
  if (dtype == DType::float64) return std::make_shared<NormalisationOp<double>>(normalisation);
  return std::make_shared<NormalisationOp<float>>(normalisation);
}

}  // namespace bnrun
