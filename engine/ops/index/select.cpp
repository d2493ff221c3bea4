// Selecting elements by their value or position: Compress, NonZero, Trilu, Unique.
#include <algorithm>
#include <numeric>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/order_key.h"
#include "base/strided_copy.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

/// Entries `chosen` of an axis of `input`, one after the other.
void copy_entries(const TensorView& input, std::size_t axis, std::span<const std::int64_t> chosen,
                  const MutableTensorView& out) {
  Shape one = input.shape;
  one[axis] = 1;
  Walk from = walk_of(input.shape);
  Walk to = walk_of(out.shape);
  for (const std::int64_t entry : chosen) {
    from.start = entry * from.strides[axis];
    copy_strided(input, from, out, to, one);
    to.start += to.strides[axis];
  }
}

TensorView flat(const TensorView& tensor) {
  TensorView view = tensor;
  view.shape = Shape{tensor.elements()};
  return view;
}

/// Compress: the entries of `axis` whose condition is true; without an axis, of the flattened tensor. The
/// condition may be shorter than the axis.
class Compress final : public Op {
 public:
  explicit Compress(AttributeReader& node) {
    check_inputs(node, 2, 2);
    if (node.has("axis")) axis_ = node.get_int("axis", 0);
  }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    if (args.inputs[1].dtype != DType::boolean)
      fail(ErrorCode::invalid_model, "the condition is {}, not bool", to_string(args.inputs[1]));
    if (!axis_ || !input.ranked()) return {{input.dtype, axis_ ? std::nullopt : std::optional(Dims{Dim()})}};
    Dims dims = *input.dims;
    dims[normalize_axis(*axis_, input.rank())] = Dim();
    return {{input.dtype, std::move(dims)}};
  }

  void run(const RunArgs& args) const override {
    const TensorView input = axis_ ? args.in(0) : flat(args.in(0));
    const std::size_t axis = axis_ ? normalize_axis(*axis_, input.shape.rank()) : 0;
    const auto condition = args.in(1).span<bool>();
    if (static_cast<std::int64_t>(condition.size()) > input.shape[axis])
      fail(ErrorCode::invalid_input, "the condition has {} elements, the axis has {}", condition.size(),
           input.shape[axis]);
    std::vector<std::int64_t> chosen;
    for (std::size_t i = 0; i < condition.size(); ++i) {
      if (condition[i]) chosen.push_back(static_cast<std::int64_t>(i));
    }
    Shape shape = input.shape;
    shape[axis] = static_cast<std::int64_t>(chosen.size());
    copy_entries(input, axis, chosen, args.make(0, input.dtype, shape));
  }

  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    if (affine.uniform()) return affine;
    const ValueType& data = args.inputs[0];
    const Declined unproven{Decline::axis_unproven, "which channels it takes is unknown"};
    if (!axis_ || !data.ranked()) return unproven;
    const std::size_t axis = normalize_axis(*axis_, data.rank());
    if (affine.axis != static_cast<int>(axis)) return affine;
    if (args.constant(1) == nullptr || !(*data.dims)[axis].known()) return unproven;
    AxisCopies copies{axis, axis, static_cast<std::size_t>((*data.dims)[axis].extent()), {}};
    const auto condition = args.constant(1)->span<bool>();
    if (static_cast<std::int64_t>(condition.size()) > (*data.dims)[axis].extent()) return unproven;
    for (std::size_t i = 0; i < condition.size(); ++i) {
      if (condition[i]) copies.sources.push_back(static_cast<std::int64_t>(i));
    }
    return carried(affine, from, copies);
  }

 private:
  std::optional<std::int64_t> axis_;
};

/// NonZero: the coordinates of the elements that are not zero,
/// one column for each. A scalar has no coordinates.
class NonZero final : public Op {
 public:
  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    return {{DType::int64, Dims{X.ranked() ? Dim(static_cast<std::int64_t>(X.rank())) : Dim(), Dim()}}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    std::vector<std::int64_t> found;
    dispatch(PlainTypes{}, X.dtype, [&]<class T>() {
      for (std::int64_t i = 0; i < X.elements(); ++i) {
        if (static_cast<ComputeType<T>>(X.data<T>()[i]) != ComputeType<T>(0)) found.push_back(i);
      }
    });
    const std::size_t rank = X.shape.rank();
    const auto count = static_cast<std::int64_t>(found.size());
    std::int64_t* out =
        args.make(0, DType::int64, Shape{static_cast<std::int64_t>(rank), count}).data<std::int64_t>();
    const Shape strides = strides_of(X.shape);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      for (const std::int64_t at : found) *out++ = at / strides[axis] % X.shape[axis];
    }
  }
};

/// Matrices in the last two axes with everything below (upper) or above the k-th diagonal zero.
class Trilu final : public Op {
 public:
  explicit Trilu(AttributeReader& node) : upper_(node.get_bool("upper", true)) { check_inputs(node, 1, 2); }

  bool copies() const override { return true; }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    if (input.ranked() && input.rank() < 2)
      fail(ErrorCode::invalid_model, "the input must have rank 2 or more, it is {}", to_string(input));
    return {{input.dtype, input.dims}};
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    const std::int64_t columns = shape.back();
    const std::int64_t rows = shape[shape.rank() - 2];
    std::int64_t k = 0;
    if (args.present(1)) {
      if (args.in(1).elements() != 1) fail(ErrorCode::invalid_model, "k must be one number");
      k = std::clamp(first_element<std::int64_t>(args.in(1)), -rows - 1, columns + 1);
    }
    dispatch_moved(args.in(0).dtype, [&]<class T>() {
      const T* in = moved<T>(args.in(0));
      T* out = moved<T>(args.out(0));
      for (std::int64_t i = 0; i < shape.elements(); ++i) {
        const std::int64_t diagonal = i % columns - i / columns % rows;
        const bool kept = upper_ ? diagonal >= k : diagonal <= k;
        out[i] = kept ? in[i] : T{};
      }
    });
  }

  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine& affine, const FoldArgs&) const override {
    if (affine.has_shift()) return Declined{Decline::padding, "its zeros are not shifted"};
    return affine;
  }

 private:
  bool upper_;
};

/// The distinct entries of an axis (of all elements, without one), sorted or in order of appearance; where
/// each stands first, which one every entry is, and how often it occurs. NaN equals NaN and comes last.
class Unique final : public Op {
 public:
  explicit Unique(AttributeReader& node) : sorted_(node.get_bool("sorted", true)) {
    check_inputs(node, 1, 1);
    if (node.has("axis")) axis_ = node.get_int("axis", 0);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    ValueType Y{X.dtype, std::nullopt};
    if (!axis_) {
      Y.dims = Dims{Dim()};
    } else if (X.ranked()) {
      Y.dims = X.dims;
      (*Y.dims)[normalize_axis(*axis_, X.rank())] = Dim();
    }
    const ValueType positions{DType::int64, Dims{Dim()}};
    return {Y, positions, positions, positions};
  }

  void run(const RunArgs& args) const override {
    const TensorView X = axis_ ? args.in(0) : flat(args.in(0));
    const std::size_t axis = axis_ ? normalize_axis(*axis_, X.shape.rank()) : 0;
    const auto entries = static_cast<std::size_t>(X.shape[axis]);
    std::vector<std::int64_t> order(entries);
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::vector<bool> starts_group(entries, true);  // by position in `order`
    sort_entries(X, axis, order, starts_group);

    // Groups in sorted order; their first members, as the sort is stable, are the first to appear.
    std::vector<std::int64_t> firsts, counts, inverse(entries);
    for (std::size_t i = 0; i < entries; ++i) {
      if (starts_group[i]) {
        firsts.push_back(order[i]);
        counts.push_back(0);
      }
      ++counts.back();
      inverse[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(firsts.size()) - 1;
    }
    if (!sorted_) reorder_by_appearance(firsts, counts, inverse);

    Shape shape = X.shape;
    shape[axis] = static_cast<std::int64_t>(firsts.size());
    copy_entries(X, axis, firsts, args.make(0, X.dtype, shape));
    const std::vector<std::int64_t>* lists[] = {&firsts, &inverse, &counts};
    for (std::size_t i = 1; i < args.outputs.size(); ++i) {
      const auto& list = *lists[i - 1];
      std::copy(
          list.begin(), list.end(),
          args.make(i, DType::int64, Shape{static_cast<std::int64_t>(list.size())}).data<std::int64_t>());
    }
  }

 private:
  static void sort_entries(const TensorView& X, std::size_t axis, std::vector<std::int64_t>& order,
                           std::vector<bool>& starts_group) {
    if (X.dtype == DType::string)
      return sort_entries(X.data<std::string>(), X.shape, axis, order, starts_group);
    std::vector<std::uint64_t> keys(static_cast<std::size_t>(X.elements()));
    dispatch(PlainTypes{}, X.dtype, [&]<class T>() {
      std::ranges::transform(X.span<T>(), keys.begin(), [](T x) { return order_key(x); });
    });
    sort_entries(keys.data(), X.shape, axis, order, starts_group);
  }

  template <class T>
  static void sort_entries(const T* x, const Shape& shape, std::size_t axis, std::vector<std::int64_t>& order,
                           std::vector<bool>& starts_group) {
    const std::int64_t entries = shape[axis];
    const std::int64_t outer = shape.elements(0, axis);
    const std::int64_t inner = shape.elements(axis + 1, shape.rank());
    const auto before = [&](std::int64_t a, std::int64_t b) {
      for (std::int64_t i = 0; i < outer; ++i) {
        for (std::int64_t j = 0; j < inner; ++j) {
          const T& left = x[(i * entries + a) * inner + j];
          const T& right = x[(i * entries + b) * inner + j];
          if (left != right) return left < right;
        }
      }
      return false;
    };
    std::stable_sort(order.begin(), order.end(), before);
    for (std::size_t i = 1; i < order.size(); ++i) starts_group[i] = before(order[i - 1], order[i]);
  }

  static void reorder_by_appearance(std::vector<std::int64_t>& firsts, std::vector<std::int64_t>& counts,
                                    std::vector<std::int64_t>& inverse) {
    std::vector<std::size_t> by_first(firsts.size());
    std::iota(by_first.begin(), by_first.end(), std::size_t{0});
    std::sort(by_first.begin(), by_first.end(),
              [&](std::size_t a, std::size_t b) { return firsts[a] < firsts[b]; });
    const auto old_firsts = firsts;
    const auto old_counts = counts;
    std::vector<std::int64_t> place(firsts.size());
    for (std::size_t i = 0; i < by_first.size(); ++i) {
      firsts[i] = old_firsts[by_first[i]];
      counts[i] = old_counts[by_first[i]];
      place[by_first[i]] = static_cast<std::int64_t>(i);
    }
    for (std::int64_t& group : inverse) group = place[static_cast<std::size_t>(group)];
  }

  bool sorted_;
  std::optional<std::int64_t> axis_;
};

}  // namespace

std::unique_ptr<const Op> make_compress(AttributeReader& node) {
  return std::make_unique<Compress>(node);
}
std::unique_ptr<const Op> make_non_zero(AttributeReader& node) {
  check_inputs(node, 1, 1);
  return std::make_unique<NonZero>();
}
std::unique_ptr<const Op> make_trilu(AttributeReader& node) {
  return std::make_unique<Trilu>(node);
}
std::unique_ptr<const Op> make_unique_elements(AttributeReader& node) {
  return std::make_unique<Unique>(node);
}

}  // namespace bnrun
