// Einsum: Y[output labels] = sum over all other labels of prod_k X_k[labels of k].
// "..." stands for the axes a term does not name, broadcast from the right. A label twice in one term is a
// diagonal. Without "->" the output has "..." and then, in alphabetical order, the labels that occur once.
#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <utility>

#include "affine/exact_sum.h"
#include "base/dispatch.h"
#include "base/fail.h"
#include "base/temporary.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/elementwise/broadcast.h"

namespace bnrun {
namespace {

/// A letter, or kEllipsisLabel + i for the i-th of the axes that "..." stands for.
using Label = int;
constexpr Label kEllipsisLabel = 256;

class Einsum final : public Op {
 public:
  explicit Einsum(AttributeReader& node) {
    std::string text = node.get_string("equation", "");
    std::erase(text, ' ');
    for (std::size_t at; (at = text.find("...")) != std::string::npos;) text.erase(at + 1, 2);
    const std::size_t arrow = text.find("->");
    const std::string left = text.substr(0, arrow);
    for (std::size_t first = 0; first <= left.size();) {
      const std::size_t comma = std::min(left.find(',', first), left.size());
      terms_.push_back(left.substr(first, comma - first));
      first = comma + 1;
    }
    output_ = arrow == std::string::npos ? implicit_output(left) : text.substr(arrow + 2);
    for (const std::string& term : terms_) check_term(term);
    check_term(output_);
    for (const char c : output_) {
      if (std::ranges::count(output_, c) != 1)
        fail(ErrorCode::invalid_model, "the output of '{}' has '{}' twice", text, c);
      if (c != '.' && left.find(c) == std::string::npos)
        fail(ErrorCode::invalid_model, "label '{}' of the output of '{}' is in no input", c, text);
    }
    if (terms_.size() != node.inputs())
      fail(ErrorCode::invalid_model, "'{}' has {} terms for {} inputs", text, terms_.size(), node.inputs());
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type{args.inputs[0].dtype, std::nullopt};
    bool ranked = true;
    for (const ValueType& input : args.inputs) {
      if (input.dtype != type.dtype)
        fail(ErrorCode::invalid_model, "its inputs have different element types");
      ranked = ranked && input.ranked();
    }
    if (!ranked) {
      if (output_.find('.') == std::string::npos) type.dims = Dims(output_.size());
      return {type};
    }
    const Plan plan = plan_for(args.inputs.size(),
                               [&](std::size_t k) -> std::span<const Dim> { return *args.inputs[k].dims; });
    type.dims.emplace();
    for (const Label label : plan.output) type.dims->push_back(plan.extents.at(label));
    return {type};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = inputs_of_one_type(args);
    for (std::size_t i = 0; i < types.size(); ++i) {
      if (!types[i].ranked() && terms_[i].find('.') == std::string::npos)
        types[i].dims = Dims(terms_[i].size());
    }
    return types;
  }

  DimProduct macs(const FoldArgs&) const override { return DimProduct::unknown(); }

  bool linear() const override { return terms_.size() == 2; }

  /// Where it multiplies X by a matrix W: W'[k,n] = W[k,n]*s_in[k]*s_out[n], and the shift
  /// (sum_k t_in[k]*W[k,n])*s_out[n] + t_out[n] stays as an Add.
  OrDeclined<Absorbed> absorb_affine(const ChannelAffine& before, const ChannelAffine& after,
                                     const FoldArgs& args) const override {
    const Tensor* W = args.constant(1);
    if (W == nullptr) return Declined{Decline::not_constant, "the weights are not constant"};
    if (!is_floating(W->dtype())) return Declined{Decline::type_mismatch, "integer weights"};
    const auto product = matrix_product(args);
    if (!product) return Declined{Decline::axis_unproven, "it is not proven to multiply by a matrix"};
    const auto [summed, made, k_first] = *product;
    if (!before.uniform() && before.axis != summed)
      return Declined{Decline::axis_unproven, "not on the axis that is summed"};
    if (!after.uniform() && after.axis != made)
      return Declined{Decline::axis_unproven, "not on the axis that the weights make"};
    const auto K = static_cast<std::size_t>(W->shape()[k_first ? 0 : 1]);
    const auto N = static_cast<std::size_t>(W->shape()[k_first ? 1 : 0]);
    const ChannelAffine s_in = before.on_axis(summed, K);
    const ChannelAffine s_out = after.on_axis(made, N);
    const ScaledTensor scaled =
        k_first ? ScaledTensor{*W, s_in.scale, s_out.scale} : ScaledTensor{*W, s_out.scale, s_in.scale};
    Absorbed absorbed;
    absorbed.remaining = {made, std::vector<double>(N, 1.0), s_out.shift};
    if (before.has_shift()) {
      std::vector<ExactSum> carried(N);
      for_each_element(scaled, [&](std::size_t row, std::size_t column, double w) {
        const auto [k, n] = k_first ? std::pair(row, column) : std::pair(column, row);
        carried[n].add_product(s_in.shift[k], w);
      });
      for (std::size_t n = 0; n < N; ++n) absorbed.remaining.shift[n] += carried[n].value() * s_out.scale[n];
    }
    absorbed.inputs = {{1, scaled}};
    return absorbed;
  }

  void run(const RunArgs& args) const override {
    TemporaryVector<Dim> dims;
    const Plan plan = plan_for(args.count(), [&](std::size_t k) -> std::span<const Dim> {
      dims.assign(args.in(k).shape.begin(), args.in(k).shape.end());
      return dims;
    });
    // The labels that are summed over vary fastest: `summed` consecutive visits make one output element.
    Labels labels = plan.output;
    for (const auto& [label, extent] : plan.extents) {
      if (std::ranges::find(plan.output, label) == plan.output.end()) labels.push_back(label);
    }
    Shape extents;
    for (const Label label : labels) extents.push_back(plan.extents.at(label).extent());
    const std::int64_t summed = extents.elements(plan.output.size(), labels.size());
    TemporaryVector<Shape> strides;
    for (std::size_t k = 0; k < args.count(); ++k) {
      const Shape own = strides_of(args.in(k).shape);
      strides.push_back(Shape::filled(labels.size(), 0));
      for (std::size_t axis = 0; axis < own.rank(); ++axis) {
        const auto position = std::ranges::find(labels, plan.operands[k][axis]) - labels.begin();
        if (args.in(k).shape[axis] != 1) strides[k][static_cast<std::size_t>(position)] += own[axis];
      }
    }
    dispatch(NumericTypes{}, args.in(0).dtype, [&]<class T>() {
      using C = ComputeType<T>;
      using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, double>;
      TemporaryVector<const T*> inputs;
      for (const TensorView& input : args.inputs) inputs.push_back(input.data<T>());
      T* y = args.out(0).data<T>();
      if (summed == 0) std::ranges::fill(args.out(0).span<T>(), T{});
      Sum sum{};
      strided_walk(strides, extents, [&](std::int64_t i, std::span<const std::int64_t> at) {
        Sum product{1};
        for (std::size_t k = 0; k < inputs.size(); ++k) {
          product *= static_cast<Sum>(static_cast<C>(inputs[k][at[k]]));
        }
        sum += product;
        if ((i + 1) % summed != 0) return;
        y[i / summed] = T(static_cast<C>(sum));
        sum = Sum{};
      });
    });
  }

 private:
  using Labels = TemporaryVector<Label>;
  struct Plan {
    TemporaryVector<Labels> operands;  ///< a label for each axis
    Labels output;
    std::map<Label, Dim, std::less<>, TemporaryAllocator<std::pair<const Label, Dim>>> extents;
  };

  static void check_term(const std::string& term) {
    for (const char c : term) {
      const bool known = c == '.' || std::isalpha(static_cast<unsigned char>(c)) != 0;
      if (!known) fail(ErrorCode::invalid_model, "'{}' in the equation is no label", c);
    }
    if (std::ranges::count(term, '.') > 1) fail(ErrorCode::invalid_model, "a term has '...' twice");
  }

  static std::string implicit_output(const std::string& left) {
    std::string output;
    if (left.find('.') != std::string::npos) output.push_back('.');
    std::string letters = left;
    std::erase_if(letters, [](char c) { return std::isalpha(static_cast<unsigned char>(c)) == 0; });
    std::ranges::sort(letters);
    for (const char c : letters) {
      if (std::ranges::count(letters, c) == 1) output.push_back(c);
    }
    return output;
  }

  /// `ellipsis`: how many axes "..." stands for in this term; `most`: in any term.
  static Labels labels_of(const std::string& term, std::size_t ellipsis, std::size_t most) {
    Labels labels;
    for (const char c : term) {
      if (c != '.') labels.push_back(static_cast<unsigned char>(c));
      for (std::size_t i = 0; c == '.' && i < ellipsis; ++i) {
        labels.push_back(kEllipsisLabel + static_cast<Label>(most - ellipsis + i));
      }
    }
    return labels;
  }

  /// `dims_of(k)`: those of input k, until the next call.
  template <class F>
  Plan plan_for(std::size_t count, const F& dims_of) const {
    TemporaryVector<std::size_t> ellipsis;
    for (std::size_t k = 0; k < count; ++k) {
      const bool open = terms_[k].find('.') != std::string::npos;
      const std::size_t named = terms_[k].size() - (open ? 1 : 0);
      const std::size_t rank = dims_of(k).size();
      if (rank < named || (!open && rank != named))
        fail(ErrorCode::invalid_model, "term '{}' does not fit an input of rank {}", terms_[k], rank);
      ellipsis.push_back(rank - named);
    }
    const std::size_t most = *std::ranges::max_element(ellipsis);
    Plan plan;
    for (std::size_t k = 0; k < count; ++k) {
      plan.operands.push_back(labels_of(terms_[k], ellipsis[k], most));
      const std::span<const Dim> dims = dims_of(k);
      for (std::size_t axis = 0; axis < dims.size(); ++axis) {
        const auto [slot, fresh] = plan.extents.try_emplace(plan.operands[k][axis], dims[axis]);
        if (!fresh) slot->second = broadcast_dim(slot->second, dims[axis]);
      }
    }
    plan.output = labels_of(output_, most, most);
    return plan;
  }

  /// Y[..,n,..] = sum over k of X[..,k,..] * W[k,n] (or W[n,k]), all other axes of X being axes of Y.
  struct MatrixProduct {
    int summed;    ///< the axis of X that k is
    int made;      ///< the axis of Y that n is
    bool k_first;  ///< in W
  };

  std::optional<MatrixProduct> matrix_product(const FoldArgs& args) const {
    const ValueType& X = args.inputs[0];
    const ValueType& W = args.inputs[1];
    if (!X.ranked() || !W.ranked() || W.rank() != 2) return std::nullopt;
    const Plan plan =
        plan_for(2, [&](std::size_t k) -> std::span<const Dim> { return k == 0 ? *X.dims : *W.dims; });
    const auto& x = plan.operands[0];
    const auto& w = plan.operands[1];
    const auto axis_in = [](const Labels& labels, Label label) {
      const auto found = std::ranges::find(labels, label);
      return found == labels.end() ? -1 : static_cast<int>(found - labels.begin());
    };
    const bool k_first = axis_in(plan.output, w[0]) < 0;
    const Label k = w[k_first ? 0 : 1];
    const Label n = w[k_first ? 1 : 0];
    const MatrixProduct product{axis_in(x, k), axis_in(plan.output, n), k_first};
    if (k == n || product.summed < 0 || product.made < 0 || axis_in(plan.output, k) >= 0 ||
        axis_in(x, n) >= 0)
      return std::nullopt;
    for (const Label label : x) {
      if (std::ranges::count(x, label) != 1 || (label != k && axis_in(plan.output, label) < 0))
        return std::nullopt;
    }
    // An extent of 1 would be stretched.
    if (!((*X.dims)[static_cast<std::size_t>(product.summed)] == (*W.dims)[k_first ? 0 : 1]))
      return std::nullopt;
    return product;
  }

  std::vector<std::string> terms_;  ///< with "." for "..."
  std::string output_;
};

}  // namespace

std::unique_ptr<const Op> make_einsum(AttributeReader& node) {
  check_inputs(node, std::max<std::size_t>(1, node.inputs()), node.inputs());
  return std::make_unique<Einsum>(node);
}

}  // namespace bnrun
