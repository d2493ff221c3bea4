// Reductions over a set of axes:
//   ReduceSum sum x, ReduceMean (sum x)/n, ReduceProd prod x, ReduceMax, ReduceMin,
//   ReduceL1 sum |x|, ReduceL2 sqrt(sum x^2), ReduceSumSquare sum x^2, ReduceLogSum log(sum x),
//   ReduceLogSumExp log(sum exp(x)) = m + log(sum exp(x - m)) with m = max x.
// Floats accumulate in double. An empty set gives the neutral element, such as 0
// for a sum, 1 for a product and the lowest value for a maximum.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/dim_product.h"
#include "op/formula.h"
#include "op/op.h"
#include "op/passing.h"
#include "op/shape_rules.h"
#include "ops/elementwise/broadcast.h"
#include "ops/reduce/kinds.h"
#include "ops/reduce/reduced_run.h"

namespace bnrun {
namespace {

/// Integers wrap around in sums and products; roots and logarithms of them are truncated.
template <class T>
T reduced(ReduceKind kind, const T* first, std::span<const std::int64_t> offsets) {
  using C = ComputeType<T>;
  constexpr bool kInteger = std::is_integral_v<T>;
  using Sum = std::conditional_t<kInteger, std::uint64_t, double>;
  const auto total = [&](Sum start, auto f) {
    for (const std::int64_t offset : offsets) start = f(start, static_cast<C>(first[offset]));
    return start;
  };
  const auto square = [](Sum sum, C x) { return sum + static_cast<Sum>(x) * static_cast<Sum>(x); };
  const auto add = [](Sum sum, C x) { return sum + static_cast<Sum>(x); };
  const auto rounded = [](auto x) {
    if constexpr (kInteger && std::is_floating_point_v<decltype(x)>) {
      T result{};
      convert(TensorView{DType::float64, {}, &x}, MutableTensorView{dtype_of<T>, {}, &result});
      return result;
    } else {
      return T(static_cast<C>(x));
    }
  };
  // Integers below enter as double, where a root or logarithm of the sum is wanted.
  const auto total_double = [&](auto f) {
    double sum = 0.0;
    for (const std::int64_t offset : offsets) sum += f(static_cast<double>(static_cast<C>(first[offset])));
    return sum;
  };
  const auto extreme = [&](C start, auto better) {
    for (const std::int64_t offset : offsets) {
      const auto x = static_cast<C>(first[offset]);
      if constexpr (!kInteger) {
        if (std::isnan(x)) return T(x);
      }
      if (better(x, start)) start = x;
    }
    return T(start);
  };
  using Limits = std::numeric_limits<C>;
  switch (kind) {
    case ReduceKind::max:
      return extreme(kInteger ? Limits::lowest() : -Limits::infinity(), std::greater<>());
    case ReduceKind::min:
      return extreme(kInteger ? Limits::max() : Limits::infinity(), std::less<>());
    default:
      break;
  }
  if constexpr (!std::is_same_v<T, bool>) {
    switch (kind) {
      case ReduceKind::sum:
        return rounded(total(0, add));
      case ReduceKind::mean: {
        const Sum sum = total(0, add);
        if constexpr (std::is_signed_v<T> && kInteger)
          return offsets.empty() ? T(0)
                                 : static_cast<T>(static_cast<std::int64_t>(sum) / std::ssize(offsets));
        else if constexpr (kInteger)
          return offsets.empty() ? T(0) : static_cast<T>(sum / offsets.size());
        else
          return rounded(sum / static_cast<double>(offsets.size()));
      }
      case ReduceKind::prod:
        return rounded(total(1, [](Sum product, C x) { return product * static_cast<Sum>(x); }));
      case ReduceKind::l1:
        return rounded(total(0, [](Sum sum, C x) {
          const auto wide = static_cast<Sum>(x);
          return sum + (x < C(0) ? Sum(0) - wide : wide);
        }));
      case ReduceKind::l2:
        return rounded(std::sqrt(total_double([](double x) { return x * x; })));
      case ReduceKind::sum_square:
        return rounded(total(0, square));
      case ReduceKind::log_sum:
        return rounded(std::log(total_double([](double x) { return x; })));
      case ReduceKind::log_sum_exp: {
        const auto m = static_cast<double>(static_cast<C>(reduced(ReduceKind::max, first, offsets)));
        if (offsets.empty()) return rounded(-std::numeric_limits<double>::infinity());
        if (!std::isfinite(m)) return rounded(m);
        return rounded(m + std::log(total_double([m](double x) { return std::exp(x - m); })));
      }
      default:
        break;
    }
  }
  fail(ErrorCode::unsupported, "this reduction of {} is not supported", name_of(dtype_of<T>));
}

/// The axes of a reduction as sorted positions, and what is left of a shape.
struct ReducedAxes {
  TemporaryVector<std::size_t> axes;
  bool keepdims;

  bool contains(std::size_t axis) const { return std::ranges::binary_search(axes, axis); }

  /// X as [outer, reduced, inner], where the axes stand side by side.
  std::optional<ReducedRun> one_run(const Shape& X) const {
    if (axes.empty() || axes.back() - axes.front() + 1 != axes.size()) return std::nullopt;
    const std::size_t end = axes.back() + 1;
    return ReducedRun{X.elements(0, axes.front()), X.elements(axes.front(), end), X.elements(end, X.rank())};
  }

  Dims of(const Dims& dims) const {
    Dims result;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (!contains(i))
        result.push_back(dims[i]);
      else if (keepdims)
        result.push_back(Dim(1));
    }
    return result;
  }
};

class Reduce final : public Op, public HasFormula {
 public:
  Reduce(ReduceKind kind, AttributeReader& node) : kind_(kind), keepdims_(node.get_bool("keepdims", true)) {
    axes_are_input_ = node.version() >= (kind == ReduceKind::sum ? 13 : 18);
    check_inputs(node, 1, axes_are_input_ ? 2 : 1);
    if (axes_are_input_)
      noop_ = node.get_bool("noop_with_empty_axes", false);
    else
      axes_ = node.get_ints("axes").value_or(std::vector<std::int64_t>{});
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    ValueType type{X.dtype, std::nullopt};
    if (!X.ranked()) return {type};
    auto axes = axes_;
    if (args.present(1)) {
      const auto known = known_ints(args, 1);
      if (!known) {
        if (keepdims_) type.dims = Dims(X.rank());
        return {type};
      }
      axes = *known;
    }
    type.dims = resolve(axes, X.rank()).of(*X.dims);
    return {type};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    std::optional<ElementsOf<std::int64_t>> given;
    if (args.present(1)) given.emplace(args.in(1));
    const auto resolved = resolve(given ? std::span<const std::int64_t>(*given) : axes_, X.shape.rank());
    const Shape strides = strides_of(X.shape);
    Shape kept, kept_strides, gone, gone_strides;
    for (std::size_t i = 0; i < X.shape.rank(); ++i) {
      const bool reduces = resolved.contains(i);
      (reduces ? gone : kept).push_back(X.shape[i]);
      (reduces ? gone_strides : kept_strides).push_back(strides[i]);
    }
    dispatch(PlainTypes{}, X.dtype, [&]<class T>() {
      const T* x = X.data<T>();
      T* y = args.out(0).data<T>();
      if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
        if (const auto run = resolved.one_run(X.shape); run && reduce_run(kind_, *run, x, y)) return;
      }
      TemporaryVector<std::int64_t> offsets(static_cast<std::size_t>(gone.elements()));
      strided_walk(std::span(&gone_strides, 1), gone, [&](std::int64_t i, std::span<const std::int64_t> at) {
        offsets[static_cast<std::size_t>(i)] = at[0];
      });
      strided_walk(std::span(&kept_strides, 1), kept, [&](std::int64_t i, std::span<const std::int64_t> at) {
        y[i] = reduced(kind_, x + at[0], offsets);
      });
    });
  }

  /// One element is its own sum, mean, maximum, ...
  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    const auto resolved = resolve(args);
    const bool norm = kind_ == ReduceKind::l1 || kind_ == ReduceKind::l2;
    const bool bends = norm || kind_ == ReduceKind::sum_square || kind_ == ReduceKind::log_sum;
    if (bends || !resolved || (!keepdims_ && !resolved->axes.empty()))
      return Declined{Decline::not_affine, {}};
    for (const std::size_t axis : resolved->axes) {
      if (!((*args.inputs[0].dims)[axis] == Dim(1))) return Declined{Decline::not_affine, {}};
    }
    return AffineForm{0, {}};
  }

  OrDeclined<ChannelAffine> pass_affine(Side from, const ChannelAffine& affine,
                                        const FoldArgs& args) const override {
    const auto map = axes(args);
    if (!map) return Declined{Decline::activation_between, {}};
    if (!is_floating(args.inputs[0].dtype)) return Declined{Decline::type_mismatch, "an integer reduction"};
    auto reduced = reduced_map(from, affine, args);
    if (std::holds_alternative<Declined>(reduced)) return reduced;
    if (auto passed = carried(std::get<ChannelAffine>(reduced), from, *map)) return std::move(*passed);
    return Declined{Decline::axis_unproven, "the channels are reduced"};
  }

  std::optional<Formula> formula(const FoldArgs& args) const override {
    auto resolved = resolve(args);
    const bool is_mean = kind_ == ReduceKind::mean && keepdims_ && is_floating(args.inputs[0].dtype);
    if (!is_mean || !resolved || resolved->axes.empty()) return std::nullopt;
    return Formula{Formula::Kind::mean, 0.0, {resolved->axes.begin(), resolved->axes.end()}};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    const auto resolved = resolve(args);
    if (!resolved) return std::nullopt;
    AxisMap map;
    for (std::size_t axis = 0; axis < args.inputs[0].rank(); ++axis) {
      if (!resolved->contains(axis))
        map.from.emplace_back(axis);
      else if (keepdims_)
        map.from.emplace_back();
    }
    return map;
  }

 private:
  /// What a map is on the other side, along axes that are not reduced:
  ///   mean(s*x + t) = s*mean(x) + t,  sum(s*x + t) = s*sum(x) + n*t for n elements,
  ///   max(s*x + t) = s*max(x) + t for s > 0,  log(sum(exp(x + t))) = log(sum(exp(x))) + t.
  OrDeclined<ChannelAffine> reduced_map(Side from, const ChannelAffine& affine, const FoldArgs& args) const {
    switch (kind_) {
      case ReduceKind::mean:
        return affine;
      case ReduceKind::sum: {
        if (!affine.has_shift()) return affine;
        const auto count = reduced_count(args);
        if (!count || *count == 0)
          return Declined{Decline::axis_unproven, "how many elements it adds is unknown"};
        ChannelAffine passed = affine;
        const auto n = static_cast<double>(*count);
        for (double& t : passed.shift) t = from == Side::input ? t * n : t / n;
        return passed;
      }
      case ReduceKind::max:
      case ReduceKind::min:
        if (std::ranges::all_of(affine.scale, [](double s) { return s > 0.0; })) return affine;
        return Declined{Decline::activation_between, "a scale is not positive"};
      case ReduceKind::l1:
      case ReduceKind::l2:
        return pass_norm(from, affine);
      case ReduceKind::log_sum_exp:
        if (!affine.has_scale()) return affine;
        break;
      default:
        break;
    }
    return Declined{Decline::activation_between, {}};
  }

  std::optional<std::int64_t> reduced_count(const FoldArgs& args) const {
    const auto resolved = resolve(args);
    if (!resolved) return std::nullopt;
    DimProduct count;
    for (const std::size_t axis : resolved->axes) count *= (*args.inputs[0].dims)[axis];
    return count.number();
  }

  ReducedAxes resolve(std::span<const std::int64_t> axes, std::size_t rank) const {
    ReducedAxes resolved{{}, keepdims_};
    resolved.axes.reserve(rank);
    for (const std::int64_t axis : axes) resolved.axes.push_back(normalize_axis(axis, rank));
    if (axes.empty() && !noop_) {
      for (std::size_t i = 0; i < rank; ++i) resolved.axes.push_back(i);
    }
    std::ranges::sort(resolved.axes);
    if (std::ranges::adjacent_find(resolved.axes) != resolved.axes.end())
      fail(ErrorCode::invalid_model, "an axis is listed twice");
    return resolved;
  }

  std::optional<ReducedAxes> resolve(const FoldArgs& args) const {
    if (!args.inputs[0].ranked()) return std::nullopt;
    if (!args.present(1)) return resolve(axes_, args.inputs[0].rank());
    const auto given = known_ints(args, 1);
    return given ? std::optional(resolve(*given, args.inputs[0].rank())) : std::nullopt;
  }

  ReduceKind kind_;
  bool keepdims_;
  bool axes_are_input_;
  bool noop_ = false;
  std::vector<std::int64_t> axes_;
};

}  // namespace

std::unique_ptr<const Op> make_reduce(AttributeReader& node, ReduceKind kind) {
  return std::make_unique<Reduce>(kind, node);
}

}  // namespace bnrun
