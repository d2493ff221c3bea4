// Preparing features (ai.onnx.ml); each row is prepared by itself:
//   Scaler:     Y = (X - offset) * scale, per feature or one for all
//   Normalizer: Y = X / max(X), X / sum |X| or X / sqrt(sum X^2) of the row; a divisor of 0 leaves the row
//   Imputer:    one value replaced by another, per feature or one for all
//   Binarizer:  Y = X > threshold
//   ArrayFeatureExtractor: the features at some indices; FeatureVectorizer: features side by side
#include <algorithm>
#include <cmath>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/shape_rules.h"
#include "ops/ml/ml.h"

namespace bnrun {

void store(std::span<const double> values, const MutableTensorView& out) {
  dispatch(TypeList<float, double>{}, out.dtype, [&]<class T>() {
    std::ranges::transform(values, out.data<T>(), [](double x) { return static_cast<T>(x); });
  });
}

namespace {

TemporaryVector<double> doubles_of(const TensorView& X) {
  TemporaryVector<double> x(static_cast<std::size_t>(X.elements()));
  convert(X, {DType::float64, X.shape, x.data()});
  return x;
}

}  // namespace

FeatureRows FeatureRows::of(const Shape& X) {
  if (X.rank() == 0) fail(ErrorCode::invalid_model, "X has rank 0, it needs a feature axis");
  return {X.elements(0, X.rank() - 1), X.back()};
}

std::vector<double> read_floats(AttributeReader& node, std::string_view name) {
  const auto floats = node.get_floats(name).value_or(std::vector<float>{});
  return {floats.begin(), floats.end()};
}

std::optional<Dims> row_dims(const ValueType& X, std::int64_t extent) {
  if (!X.ranked()) return std::nullopt;
  if (X.rank() == 0 || X.rank() > 2)
    fail(ErrorCode::invalid_model, "X is {}, expected rows of features", to_string(X));
  return Dims{X.rank() == 1 ? Dim(1) : (*X.dims)[0], Dim(extent)};
}

namespace {

using FeatureTypes = TypeList<float, double, std::int64_t, std::int32_t>;

/// Throws invalid_model unless there is one number for all features or one for each.
void check_per_feature(const char* name, std::size_t count, const ValueType& X) {
  if (count == 1 || !X.ranked() || X.rank() == 0 || !X.dims->back().known()) return;
  if (static_cast<std::int64_t>(count) != X.dims->back().extent())
    fail(ErrorCode::invalid_model, "{} has {} numbers, X is {}", name, count, to_string(X));
}

class Scaler final : public Op {
 public:
  explicit Scaler(AttributeReader& node)
      : offset_(read_floats(node, "offset")),
        scale_(read_floats(node, "scale")),
        type_(node.result_type(DType::float32)) {
    check_inputs(node, 1, 1);
    if (offset_.empty()) offset_ = {0.0};
    if (scale_.empty()) scale_ = {1.0};
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    check_per_feature("offset", offset_.size(), args.inputs[0]);
    check_per_feature("scale", scale_.size(), args.inputs[0]);
    return {{type_, args.inputs[0].dims}};
  }

  void run(const RunArgs& args) const override {
    TemporaryVector<double> x = doubles_of(args.in(0));
    const auto features = static_cast<std::size_t>(FeatureRows::of(args.in(0).shape).features);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t feature = i % features;
      x[i] = (x[i] - offset_[feature % offset_.size()]) * scale_[feature % scale_.size()];
    }
    store(x, args.out(0));
  }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    const ValueType& X = args.inputs[0];
    if (X.dtype != type_) return Declined{Decline::type_mismatch, "it changes the element type"};
    const std::size_t channels = std::max(offset_.size(), scale_.size());
    if (channels > 1 && (!X.ranked() || X.rank() != 2))
      return Declined{Decline::axis_unproven, "X is not known to have rank 2"};
    AffineForm form{0, {channels > 1 ? 1 : ChannelAffine::kUniform, {}, {}}};
    for (std::size_t c = 0; c < channels; ++c) {
      const double scale = scale_[c % scale_.size()];
      form.affine.scale.push_back(scale);
      form.affine.shift.push_back(-offset_[c % offset_.size()] * scale);
    }
    return form;
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!(args.inputs[0].ranked() && args.inputs[0].rank() > 1)) return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank() - 1, args.inputs[0].rank());
  }

 private:
  std::vector<double> offset_;
  std::vector<double> scale_;
  DType type_;
};

class Normalizer final : public Op {
 public:
  explicit Normalizer(AttributeReader& node)
      : norm_(node.get_string("norm", "MAX")), type_(node.result_type(DType::float32)) {
    check_inputs(node, 1, 1);
    if (norm_ != "MAX" && norm_ != "L1" && norm_ != "L2")
      fail(ErrorCode::invalid_model, "norm is '{}'", norm_);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    return {{type_, args.inputs[0].dims}};
  }

  void run(const RunArgs& args) const override {
    TemporaryVector<double> x = doubles_of(args.in(0));
    const auto [rows, features] = FeatureRows::of(args.in(0).shape);
    for (std::int64_t r = 0; r < rows && features > 0; ++r) {
      const std::span row(x.data() + r * features, static_cast<std::size_t>(features));
      const double divisor = norm_of(row);
      if (divisor == 0.0) continue;
      for (double& value : row) value /= divisor;
    }
    store(x, args.out(0));
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!(args.inputs[0].ranked() && args.inputs[0].rank() > 1)) return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank() - 1, args.inputs[0].rank());
  }

 private:
  double norm_of(std::span<const double> row) const {
    if (norm_ == "MAX") return *std::ranges::max_element(row);
    double sum = 0.0;
    for (const double x : row) sum += norm_ == "L1" ? std::abs(x) : x * x;
    return norm_ == "L1" ? sum : std::sqrt(sum);
  }

  std::string norm_;
  DType type_;
};

class Imputer final : public Op {
 public:
  explicit Imputer(AttributeReader& node)
      : floats_(read_floats(node, "imputed_value_floats")),
        ints_(node.get_ints("imputed_value_int64s").value_or(std::vector<std::int64_t>{})),
        replaced_float_(node.get_float("replaced_value_float", 0.0)),
        replaced_int_(node.get_int("replaced_value_int64", 0)) {
    check_inputs(node, 1, 1);
    if (floats_.empty() == ints_.empty())
      fail(ErrorCode::invalid_model, "needs either imputed_value_floats or imputed_value_int64s");
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    if (is_floating(args.inputs[0].dtype) == floats_.empty())
      fail(ErrorCode::invalid_model, "X is {}, the imputed values are not", name_of(args.inputs[0].dtype));
    check_per_feature("the imputed values", std::max(floats_.size(), ints_.size()), args.inputs[0]);
    return {{args.inputs[0].dtype, args.inputs[0].dims}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const auto features = static_cast<std::size_t>(FeatureRows::of(X.shape).features);
    dispatch(FeatureTypes{}, X.dtype, [&]<class T>() {
      const auto impute = [&](const auto& imputed, auto replaced) {
        for (std::size_t i = 0; i < X.span<T>().size(); ++i) {
          const T x = X.data<T>()[i];
          const bool missing = x == static_cast<T>(replaced) || (x != x && replaced != replaced);
          args.out(0).data<T>()[i] = missing ? static_cast<T>(imputed[i % features % imputed.size()]) : x;
        }
      };
      if constexpr (std::is_integral_v<T>)
        impute(ints_, replaced_int_);
      else
        impute(floats_, replaced_float_);
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!(args.inputs[0].ranked() && args.inputs[0].rank() > 1)) return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank() - 1, args.inputs[0].rank());
  }

 private:
  std::vector<double> floats_;
  std::vector<std::int64_t> ints_;
  double replaced_float_;
  std::int64_t replaced_int_;
};

class Binarizer final : public Op {
 public:
  explicit Binarizer(AttributeReader& node) : threshold_(node.get_float("threshold", 0.0)) {
    check_inputs(node, 1, 1);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    return {{args.inputs[0].dtype, args.inputs[0].dims}};
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    dispatch(FeatureTypes{}, X.dtype, [&]<class T>() {
      std::ranges::transform(X.span<T>(), args.out(0).data<T>(), [&](T x) {
        return static_cast<T>(static_cast<double>(x) > threshold_ ? 1 : 0);
      });
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return elementwise_axes(args); }

 private:
  double threshold_;
};

class ArrayFeatureExtractor final : public Op {
 public:
  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& X = args.inputs[0];
    const ValueType& Y = args.inputs[1];
    if (Y.dtype != DType::int64) fail(ErrorCode::invalid_model, "Y is {}, not int64", to_string(Y));
    ValueType Z{X.dtype, std::nullopt};
    if (X.ranked()) {
      if (X.rank() == 0) fail(ErrorCode::invalid_model, "X has rank 0, it needs a feature axis");
      Z.dims = X.rank() == 1 ? Dims{Dim(1), Dim()} : *X.dims;
      Z.dims->back() = Y.static_shape() ? Dim(Y.shape().elements()) : Dim();
    }
    return {Z};
  }

  void run(const RunArgs& args) const override {
    const FeatureRows X = FeatureRows::of(args.in(0).shape);
    const auto indices = args.in(1).span<std::int64_t>();
    for (const std::int64_t index : indices) {
      if (index < 0 || index >= X.features)
        fail(ErrorCode::invalid_input, "index {} is outside {} features", index, X.features);
    }
    using Types = TypeList<float, double, std::int64_t, std::int32_t, std::string>;
    dispatch(Types{}, args.in(0).dtype, [&]<class T>() {
      T* z = args.out(0).data<T>();
      for (std::int64_t row = 0; row < X.rows; ++row) {
        for (const std::int64_t index : indices) *z++ = args.in(0).data<T>()[row * X.features + index];
      }
    });
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override {
    if (!(args.constant(1) != nullptr && args.inputs[0].ranked() && args.inputs[0].rank() > 1))
      return std::nullopt;
    return AxisMap::leading(args.inputs[0].rank() - 1, args.inputs[0].rank());
  }
};

class FeatureVectorizer final : public Op {
 public:
  explicit FeatureVectorizer(AttributeReader& node)
      : widths_(node.get_ints("inputdimensions").value_or(std::vector<std::int64_t>{})),
        type_(node.result_type(DType::float32)) {
    check_inputs(node, std::max<std::size_t>(1, node.inputs()), node.inputs());
    if (!widths_.empty() && widths_.size() != node.inputs())
      fail(ErrorCode::invalid_model, "inputdimensions has {} numbers for {} inputs", widths_.size(),
           node.inputs());
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    Dim rows;
    std::optional<std::int64_t> total = 0;
    for (std::size_t i = 0; i < args.count(); ++i) {
      const ValueType& X = args.inputs[i];
      Dim width = widths_.empty() ? Dim() : Dim(widths_[i]);
      if (const auto dims = row_dims(X, 0)) {
        if (rows.known() && (*dims)[0].known() && !(rows == (*dims)[0]))
          fail(ErrorCode::invalid_model, "input {} has {} rows, those before it {}", i, (*dims)[0].extent(),
               rows.extent());
        if (i == 0 || (*dims)[0].known()) rows = (*dims)[0];
        if (width.known() && X.dims->back().known() && !(width == X.dims->back()))
          fail(ErrorCode::invalid_model, "input {} is {}, inputdimensions says {}", i, to_string(X),
               width.extent());
        if (!width.known()) width = X.dims->back();
      }
      total = total && width.known() ? std::optional(*total + width.extent()) : std::nullopt;
    }
    return {{type_, Dims{rows, total ? Dim(*total) : Dim()}}};
  }

  void run(const RunArgs& args) const override {
    const Shape& Y = args.out(0).shape;
    TemporaryVector<double> y(static_cast<std::size_t>(Y.elements()));
    std::int64_t first = 0;
    for (std::size_t i = 0; i < args.count(); ++i) {
      const ElementsOf<double> x(args.in(i));
      const std::int64_t width = FeatureRows::of(args.in(i).shape).features;
      for (std::int64_t row = 0; row < Y[0]; ++row)
        std::copy_n(x.data() + row * width, width, y.data() + row * Y[1] + first);
      first += width;
    }
    store(y, args.out(0));
  }

 private:
  std::vector<std::int64_t> widths_;  ///< empty: as the inputs have them
  DType type_;
};

}  // namespace

std::unique_ptr<const Op> make_scaler(AttributeReader& node) {
  return std::make_unique<Scaler>(node);
}

std::unique_ptr<const Op> make_normalizer(AttributeReader& node) {
  return std::make_unique<Normalizer>(node);
}

std::unique_ptr<const Op> make_imputer(AttributeReader& node) {
  return std::make_unique<Imputer>(node);
}

std::unique_ptr<const Op> make_binarizer(AttributeReader& node) {
  return std::make_unique<Binarizer>(node);
}

std::unique_ptr<const Op> make_array_feature_extractor(AttributeReader& node) {
  check_inputs(node, 2, 2);
  return std::make_unique<ArrayFeatureExtractor>();
}

std::unique_ptr<const Op> make_feature_vectorizer(AttributeReader& node) {
  return std::make_unique<FeatureVectorizer>(node);
}

}  // namespace bnrun
