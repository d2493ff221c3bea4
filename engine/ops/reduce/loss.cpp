// NegativeLogLikelihoodLoss of X[N,C,D1,...] (log probabilities) and SoftmaxCrossEntropyLoss of X (scores),
// for the classes target[N,D1,...]:
//   loss = -weight[t] * logp_t,  logp = X or LogSoftmax(X) along axis 1; 0 where t = ignore_index
// reduced to the sum, or to sum(loss) / sum(weight[t]) for "mean".
#include <cmath>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/reduce/kinds.h"

namespace bnrun {
namespace {

class ClassLoss final : public Op {
 public:
  ClassLoss(ClassLossKind kind, AttributeReader& node)
      : takes_softmax_(kind == ClassLossKind::softmax_cross_entropy),
        reduction_(node.get_string("reduction", "mean")) {
    check_inputs(node, 2, 3);
    if (node.has("ignore_index")) ignored_ = node.get_int("ignore_index", 0);
    if (reduction_ != "none" && reduction_ != "sum" && reduction_ != "mean")
      fail(ErrorCode::invalid_model, "reduction is '{}', not none, sum or mean", reduction_);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    ValueType loss{X.dtype, Dims{}};
    if (X.ranked() && X.rank() < 2) fail(ErrorCode::invalid_model, "X has no axis of classes");
    if (reduction_ == "none") loss.dims = args.inputs[1].dims;
    return {loss, ValueType{X.dtype, X.dims}};
  }

  void run(const RunArgs& args) const override {
    const Shape& shape = args.in(0).shape;
    Shape expected = shape;
    expected.erase(1);
    if (!(args.in(1).shape == expected))
      fail(ErrorCode::invalid_input, "the target is {}, not {}", to_string(args.in(1).shape),
           to_string(expected));
    const std::int64_t C = shape[1];
    if (C == 0) fail(ErrorCode::invalid_input, "X has no classes");
    const std::int64_t inner = shape.elements(2, shape.rank());
    const ElementsOf<std::int64_t> targets(args.in(1));
    std::optional<ElementsOf<double>> weight;
    if (args.present(2)) weight.emplace(args.in(2));
    if (weight && static_cast<std::int64_t>(weight->size()) != C)
      fail(ErrorCode::invalid_input, "there are {} weights for {} classes", weight->size(), C);

    dispatch(FloatTypes{}, args.in(0).dtype, [&]<class T>() {
      const auto rounded = [](double x) { return T(static_cast<ComputeType<T>>(x)); };
      double total = 0.0;
      double total_weight = 0.0;
      for (std::int64_t i = 0; i < static_cast<std::int64_t>(targets.size()); ++i) {
        const std::int64_t first = i / inner * C * inner + i % inner;
        const T* x = args.in(0).data<T>() + first;
        const double offset = takes_softmax_ ? log_sum_exp(x, C, inner) : 0.0;
        const auto log_probability = [&](std::int64_t c) {
          return static_cast<double>(static_cast<ComputeType<T>>(x[c * inner])) - offset;
        };
        if (takes_softmax_ && args.outputs.size() > 1 && args.out(1).defined()) {
          for (std::int64_t c = 0; c < C; ++c)
            args.out(1).data<T>()[first + c * inner] = rounded(log_probability(c));
        }
        const std::int64_t target = targets[static_cast<std::size_t>(i)];
        double loss = 0.0;
        if (target != ignored_) {
          if (target < 0 || target >= C)
            fail(ErrorCode::invalid_input, "target {} is none of {} classes", target, C);
          const double own_weight = weight ? (*weight)[static_cast<std::size_t>(target)] : 1.0;
          loss = -own_weight * log_probability(target);
          total_weight += own_weight;
        }
        if (reduction_ == "none") args.out(0).data<T>()[i] = rounded(loss);
        total += loss;
      }
      if (reduction_ == "none") return;
      args.out(0).data<T>()[0] = rounded(reduction_ == "mean" ? total / total_weight : total);
    });
  }

 private:
  template <class T>
  static double log_sum_exp(const T* x, std::int64_t C, std::int64_t step) {
    const auto at = [&](std::int64_t c) {
      return static_cast<double>(static_cast<ComputeType<T>>(x[c * step]));
    };
    double largest = at(0);
    for (std::int64_t c = 1; c < C; ++c) largest = std::max(largest, at(c));
    double sum = 0.0;
    for (std::int64_t c = 0; c < C; ++c) sum += std::exp(at(c) - largest);
    return largest + std::log(sum);
  }

  bool takes_softmax_;
  std::string reduction_;
  std::optional<std::int64_t> ignored_;
};

}  // namespace

std::unique_ptr<const Op> make_class_loss(AttributeReader& node, ClassLossKind kind) {
  return std::make_unique<ClassLoss>(kind, node);
}

}  // namespace bnrun
