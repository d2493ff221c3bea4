// LinearRegressor and LinearClassifier (ai.onnx.ml), with post_transform applied to each row:
//   scores[n,e] = sum_f X[n,f] * coefficients[e,f] + intercepts[e]
// The class of a row is the one with the largest score before post_transform.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/shape_rules.h"
#include "ops/ml/ml.h"

namespace bnrun {
namespace {

enum class PostTransform { none, softmax, logistic, softmax_zero };

PostTransform read_post_transform(AttributeReader& node) {
  const std::string text = node.get_string("post_transform", "NONE");
  if (text == "NONE") return PostTransform::none;
  if (text == "SOFTMAX") return PostTransform::softmax;
  if (text == "LOGISTIC") return PostTransform::logistic;
  if (text == "SOFTMAX_ZERO") return PostTransform::softmax_zero;
  fail(text == "PROBIT" ? ErrorCode::unsupported : ErrorCode::invalid_model, "post_transform is '{}'", text);
}

double logistic(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

/// SOFTMAX_ZERO is a softmax over the scores that are not zero; zeros stay.
void transform(PostTransform kind, std::span<double> scores) {
  if (kind == PostTransform::none || scores.empty()) return;
  if (kind == PostTransform::logistic) {
    for (double& score : scores) score = logistic(score);
    return;
  }
  const double largest = *std::ranges::max_element(scores);
  double sum = 0.0;
  for (double& score : scores) {
    if (kind == PostTransform::softmax_zero && score == 0.0) continue;
    score = std::exp(score - largest);
    sum += score;
  }
  for (double& score : scores) score = sum > 0.0 ? score / sum : score;
}

constexpr float kRoomForSums = std::numeric_limits<float>::max() * 0x1p-20F;

/// The linear map, with `outputs` rows of coefficients.
class LinearScores {
 public:
  LinearScores(AttributeReader& node, std::size_t outputs)
      : coefficients_(read_floats(node, "coefficients")),
        intercepts_(read_floats(node, "intercepts")),
        outputs_(outputs) {
    if (intercepts_.empty()) intercepts_.assign(outputs, 0.0);
    if (outputs == 0 || coefficients_.empty() || coefficients_.size() % outputs != 0 ||
        intercepts_.size() != outputs)
      fail(ErrorCode::invalid_model, "{} coefficients and {} intercepts for {} outputs", coefficients_.size(),
           intercepts_.size(), outputs);
  }

  std::size_t outputs() const { return outputs_; }

  void check(const ValueType& X) const {
    const std::size_t features = coefficients_.size() / outputs_;
    if (X.ranked() && X.rank() > 0 && X.dims->back().known() &&
        X.dims->back().extent() != static_cast<std::int64_t>(features))
      fail(ErrorCode::invalid_model, "X is {}, there are coefficients for {} features", to_string(X),
           features);
  }

  /// coefficients'[e,f] = coefficients[e,f]*s_in[f]*s_out[e]
  /// intercepts'[e] = (intercepts[e] + sum_f t_in[f]*coefficients[e,f])*s_out[e] + t_out[e]
  OrDeclined<Absorbed> absorb(const ChannelAffine& before, const ChannelAffine& after,
                              const ValueType& X) const {
    if (X.dtype != DType::float32) return Declined{Decline::type_mismatch, "the coefficients are float32"};
    if (!X.ranked() || X.rank() == 0) return Declined{Decline::axis_unproven, "the rank of X is unknown"};
    const int last = static_cast<int>(X.rank()) - 1;
    if (!before.uniform() && before.axis != last)
      return Declined{Decline::axis_unproven, "not on the features"};
    if (!after.uniform() && after.axis != 1) return Declined{Decline::axis_unproven, "not on the scores"};
    const std::size_t features = coefficients_.size() / outputs_;
    const ChannelAffine s_in = before.on_axis(last, features);
    const ChannelAffine s_out = after.on_axis(1, outputs_);
    std::vector<float> coefficients;
    std::vector<float> intercepts;
    for (std::size_t e = 0; e < outputs_; ++e) {
      double intercept = intercepts_[e];
      for (std::size_t f = 0; f < features; ++f) {
        const double c = coefficients_[e * features + f];
        intercept += s_in.shift[f] * c;
        coefficients.push_back(static_cast<float>(c * s_in.scale[f] * s_out.scale[e]));
      }
      intercepts.push_back(static_cast<float>(intercept * s_out.scale[e] + s_out.shift[e]));
    }
    for (const auto* list : {&coefficients, &intercepts}) {
      if (std::ranges::any_of(*list, [](float x) { return !(std::abs(x) <= kRoomForSums); }))
        return Declined{Decline::overflow, "a coefficient leaves sums no room in float32"};
    }
    Absorbed absorbed;
    absorbed.attributes = {{"coefficients", std::move(coefficients)}, {"intercepts", std::move(intercepts)}};
    return absorbed;
  }

  TemporaryVector<double> of(const TensorView& X) const {
    const ElementsOf<double> x(X);
    const std::size_t features = coefficients_.size() / outputs_;
    TemporaryVector<double> scores;
    scores.reserve(x.size() / features * outputs_);
    for (std::size_t row = 0; row < x.size() / features; ++row) {
      for (std::size_t e = 0; e < outputs_; ++e) {
        double sum = intercepts_[e];
        for (std::size_t f = 0; f < features; ++f)
          sum += x[row * features + f] * coefficients_[e * features + f];
        scores.push_back(sum);
      }
    }
    return scores;
  }

 private:
  std::vector<double> coefficients_;
  std::vector<double> intercepts_;
  std::size_t outputs_;
};

class LinearRegressor final : public Op {
 public:
  explicit LinearRegressor(AttributeReader& node)
      : linear_(node, static_cast<std::size_t>(std::max<std::int64_t>(0, node.get_int("targets", 1)))),
        transform_(read_post_transform(node)),
        type_(node.result_type(DType::float32)) {
    check_inputs(node, 1, 1);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    linear_.check(args.inputs[0]);
    return {{type_, row_dims(args.inputs[0], static_cast<std::int64_t>(linear_.outputs()))}};
  }

  void run(const RunArgs& args) const override {
    auto scores = linear_.of(args.in(0));
    for (std::size_t first = 0; first < scores.size(); first += linear_.outputs())
      transform(transform_, std::span(scores).subspan(first, linear_.outputs()));
    store(scores, args.out(0));
  }

  bool linear() const override { return true; }

  OrDeclined<Absorbed> absorb_affine(const ChannelAffine& before, const ChannelAffine& after,
                                     const FoldArgs& args) const override {
    if (transform_ != PostTransform::none && !after.is_identity())
      return Declined{Decline::activation_between, "post_transform stands between"};
    return linear_.absorb(before, after, args.inputs[0]);
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!(args.inputs[0].ranked() && args.inputs[0].rank() == 2)) return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank() - 1, args.inputs[0].rank());
  }

 private:
  LinearScores linear_;
  PostTransform transform_;
  DType type_;
};

class LinearClassifier final : public Op {
 public:
  explicit LinearClassifier(AttributeReader& node)
      : strings_(node.get_strings("classlabels_strings").value_or(std::vector<std::string>{})),
        ints_(node.get_ints("classlabels_ints").value_or(std::vector<std::int64_t>{})),
        labels_(std::max(strings_.size(), ints_.size())),
        one_score_for_two_(labels_ == 2 &&
                           node.get_floats("intercepts").value_or(std::vector<float>{}).size() == 1),
        linear_(node, one_score_for_two_ ? 1 : labels_),
        transform_(read_post_transform(node)),
        type_(node.result_type(DType::float32)) {
    check_inputs(node, 1, 1);
    node.ignore("multi_class");  // tells how the model was trained; the scores are computed alike
    if (strings_.empty() == ints_.empty())
      fail(ErrorCode::invalid_model, "needs either classlabels_strings or classlabels_ints");
    if (one_score_for_two_ && transform_ != PostTransform::logistic)
      fail(ErrorCode::unsupported,
           "one score for two classes is supported with post_transform LOGISTIC only");
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    linear_.check(args.inputs[0]);
    const auto dims = row_dims(args.inputs[0], static_cast<std::int64_t>(labels_));
    return {
        {ints_.empty() ? DType::string : DType::int64, dims ? std::optional(Dims{(*dims)[0]}) : std::nullopt},
        {type_, dims}};
  }

  void run(const RunArgs& args) const override {
    auto scores = linear_.of(args.in(0));
    if (one_score_for_two_) {
      // logistic(-s) = 1 - logistic(s): the first class is the opposite of the second
      TemporaryVector<double> both;
      for (const double score : scores) both.insert(both.end(), {-score, score});
      scores = std::move(both);
    }
    for (std::size_t row = 0; row < scores.size() / labels_; ++row) {
      const auto of_row = std::span(scores).subspan(row * labels_, labels_);
      const auto best = static_cast<std::size_t>(std::ranges::max_element(of_row) - of_row.begin());
      if (args.out(0).defined()) {
        if (ints_.empty())
          args.out(0).data<std::string>()[row] = strings_[best];
        else
          args.out(0).data<std::int64_t>()[row] = ints_[best];
      }
      transform(transform_, of_row);
    }
    if (args.outputs.size() > 1 && args.out(1).defined()) store(scores, args.out(1));
  }

  bool linear() const override { return true; }

  /// The scores are output 1 and the classes follow from them: only a map in front is taken.
  OrDeclined<Absorbed> absorb_affine(const ChannelAffine& before, const ChannelAffine& after,
                                     const FoldArgs& args) const override {
    if (!after.is_identity()) return Declined{Decline::activation_between, {}};
    return linear_.absorb(before, after, args.inputs[0]);
  }

 private:
  std::vector<std::string> strings_;
  std::vector<std::int64_t> ints_;
  std::size_t labels_;
  bool one_score_for_two_;  ///< there is one row of coefficients, that of the second class
  LinearScores linear_;
  PostTransform transform_;
  DType type_;
};

}  // namespace

std::unique_ptr<const Op> make_linear_regressor(AttributeReader& node) {
  return std::make_unique<LinearRegressor>(node);
}

std::unique_ptr<const Op> make_linear_classifier(AttributeReader& node) {
  return std::make_unique<LinearClassifier>(node);
}

}  // namespace bnrun
