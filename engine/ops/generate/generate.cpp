// Tensors made from shapes and numbers: ConstantOfShape, EyeLike, OneHot, Range.
#include <cmath>

#include "base/dispatch.h"
#include "base/fail.h"
#include "base/strided_copy.h"
#include "op/op.h"
#include "op/shape_rules.h"

namespace bnrun {
namespace {

constexpr std::int64_t kMaxContentElements = 64;

/// Every element is `value`, by default the float 0.
class ConstantOfShape final : public Op {
 public:
  explicit ConstantOfShape(AttributeReader& node)
      : value_(node.get_tensor("value").value_or(Tensor(node.result_type(DType::float32), {1}))) {
    check_inputs(node, 1, 1);
    if (value_.elements() != 1)
      fail(ErrorCode::invalid_model, "the value must be one element, it has {}", value_.elements());
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType output{value_.dtype(), std::nullopt};
    const auto shape = content_of(args, 0);
    if (!shape) return {output};
    output.dims.emplace();
    for (const Content& element : *shape) {
      if (element.number && *element.number < 0)
        fail(ErrorCode::invalid_model, "the shape holds {}", *element.number);
      output.dims->push_back(element.as_dim());
    }
    const auto element = ValueType::of(value_.view()).content;
    if (element && output.static_shape() && output.rank() <= 1) {
      const std::int64_t count = output.shape().elements();
      if (count <= kMaxContentElements)
        output.content.emplace(static_cast<std::size_t>(count), element->front());
    }
    return {output};
  }

  void run(const RunArgs& args) const override { fill(args.out(0), value_); }

 private:
  Tensor value_;
};

/// Y[i, j] = 1 where j = i + k, else 0.
class EyeLike final : public Op {
 public:
  explicit EyeLike(AttributeReader& node)
      : dtype_(node.get_dtype("dtype", DType::undefined)), k_(node.get_int("k", 0)) {
    check_inputs(node, 1, 1);
  }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    const ValueType& input = args.inputs[0];
    if (input.ranked() && input.rank() != 2)
      fail(ErrorCode::invalid_model, "the input must be a matrix, it is {}", to_string(input));
    return {{dtype_ == DType::undefined ? input.dtype : dtype_, input.dims}};
  }

  void run(const RunArgs& args) const override {
    const MutableTensorView& Y = args.out(0);
    dispatch(PlainTypes{}, Y.dtype, [&]<class T>() {
      for (std::int64_t i = 0; i < Y.shape[0]; ++i) {
        for (std::int64_t j = 0; j < Y.shape[1]; ++j)
          Y.data<T>()[i * Y.shape[1] + j] = j - i == k_ ? T(1) : T(0);
      }
    });
  }

  bool reads_elements(std::size_t) const override { return false; }

 private:
  DType dtype_;
  std::int64_t k_;
};

/// A new axis of extent `depth`: the on-value where its coordinate is the index, else the off-value. An index
/// outside [-depth, depth) gives off-values only.
class OneHot final : public Op {
 public:
  explicit OneHot(AttributeReader& node) : axis_(node.get_int("axis", -1)) { check_inputs(node, 3, 3); }

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType output{args.inputs[2].dtype, std::nullopt};
    const ValueType& indices = args.inputs[0];
    if (!indices.ranked()) return {output};
    output.dims = indices.dims;
    Dim depth;
    if (const TensorView* value = args.value(1))
      depth = Dim(read_depth(*value));
    else if (args.inputs[1].content && args.inputs[1].content->size() == 1)
      depth = args.inputs[1].content->front().as_dim();
    const std::size_t axis = normalize_axis(axis_, indices.rank() + 1);
    output.dims->insert(output.dims->begin() + static_cast<std::ptrdiff_t>(axis), depth);
    return {output};
  }

  void run(const RunArgs& args) const override {
    const MutableTensorView& out = args.out(0);
    const std::size_t axis = normalize_axis(axis_, out.shape.rank());
    const std::int64_t depth = out.shape[axis];
    const std::int64_t inner = out.shape.elements(axis + 1, out.shape.rank());
    const ElementsOf<double> indices(args.in(0));
    if (args.in(2).elements() != 2) fail(ErrorCode::invalid_model, "values must be [off, on]");
    dispatch_moved(out.dtype, [&]<class T>() {
      const T* values = moved<T>(args.in(2));
      std::fill_n(moved<T>(out), out.elements(), values[0]);
      for (std::size_t i = 0; i < indices.size(); ++i) {
        if (!(indices[i] > static_cast<double>(-depth - 1) && indices[i] < static_cast<double>(depth)))
          continue;
        auto index = static_cast<std::int64_t>(indices[i]);
        if (index < 0) index += depth;
        const auto position = static_cast<std::int64_t>(i);
        moved<T>(out)[(position / inner * depth + index) * inner + position % inner] = values[1];
      }
    });
  }

 private:
  static std::int64_t read_depth(const TensorView& depth) {
    if (depth.elements() != 1) fail(ErrorCode::invalid_model, "the depth must be one number");
    const double value = first_element<double>(depth);
    if (!(value >= 0.0 && value < 0x1p62)) fail(ErrorCode::invalid_input, "the depth is {}", value);
    return static_cast<std::int64_t>(value);
  }

  std::int64_t axis_;
};

/// output[i] = start + i*delta for i < ceil((limit - start) / delta).
class Range final : public Op {
 public:
  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType output{args.inputs[0].dtype, Dims{Dim()}};
    for (std::size_t i = 0; i < 3; ++i) {
      if (args.inputs[i].dtype != output.dtype) fail(ErrorCode::invalid_model, "its inputs differ in type");
    }
    if (args.value(0) != nullptr && args.value(1) != nullptr && args.value(2) != nullptr) {
      dispatch(
          TypeList<float, double, std::int16_t, std::int32_t, std::int64_t>{}, output.dtype, [&]<class T>() {
            output.dims = Dims{
                Dim(count(scalar<T>(*args.value(0)), scalar<T>(*args.value(1)), scalar<T>(*args.value(2))))};
          });
    }
    infer_content(args, output);
    return {output};
  }

  void run(const RunArgs& args) const override {
    dispatch(TypeList<float, double, std::int16_t, std::int32_t, std::int64_t>{}, args.in(0).dtype,
             [&]<class T>() {
               const T start = scalar<T>(args.in(0));
               const T delta = scalar<T>(args.in(2));
               const std::int64_t n = count(start, scalar<T>(args.in(1)), delta);
               const MutableTensorView& out =
                   args.out(0).defined() ? args.out(0) : args.make(0, args.in(0).dtype, Shape{n});
               for (std::int64_t i = 0; i < n; ++i) out.data<T>()[i] = element(start, i, delta);
             });
  }

 private:
  template <class T>
  static T scalar(const TensorView& tensor) {
    if (tensor.elements() != 1)
      fail(ErrorCode::invalid_model, "start, limit and delta must be single numbers");
    return *tensor.data<T>();
  }

  /// i*delta may overflow although start + i*delta does not: integers are computed unsigned.
  template <class T>
  static T element(T start, std::int64_t i, T delta) {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(static_cast<std::uint64_t>(start) +
                            static_cast<std::uint64_t>(i) * static_cast<std::uint64_t>(delta));
    } else {
      return start + static_cast<T>(i) * delta;
    }
  }

  template <class T>
  static std::int64_t count(T start, T limit, T delta) {
    if (delta == T(0)) fail(ErrorCode::invalid_input, "delta is 0");
    if constexpr (std::is_integral_v<T>) {
      if (delta > 0 ? limit <= start : limit >= start) return 0;
      // The distance fits an unsigned number even where the difference overflows.
      const auto from = static_cast<std::uint64_t>(delta > 0 ? start : limit);
      const auto to = static_cast<std::uint64_t>(delta > 0 ? limit : start);
      const auto step = delta > 0 ? static_cast<std::uint64_t>(delta) : 0 - static_cast<std::uint64_t>(delta);
      const std::uint64_t n = (to - from - 1) / step + 1;
      if (n > static_cast<std::uint64_t>(kMaxElements))
        fail(ErrorCode::resource_limit, "it has {} elements", n);
      return static_cast<std::int64_t>(n);
    } else {
      const double n =
          std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta));
      if (std::isnan(n)) fail(ErrorCode::invalid_input, "start, limit or delta is no finite number");
      if (n > static_cast<double>(kMaxElements)) fail(ErrorCode::resource_limit, "it has {} elements", n);
      return n > 0 ? static_cast<std::int64_t>(n) : 0;
    }
  }

  static void infer_content(const InferArgs& args, ValueType& output) {
    Content numbers[3];
    for (std::size_t i = 0; i < 3; ++i) {
      const auto& content = args.inputs[i].content;
      if (!content || content->size() != 1) return;
      numbers[i] = content->front();
    }
    if (numbers[0].number && numbers[1].number && numbers[2].number) {
      const std::int64_t n = count(*numbers[0].number, *numbers[1].number, *numbers[2].number);
      output.dims = Dims{Dim(n)};
      if (n > kMaxContentElements) return;
      output.content.emplace();
      for (std::int64_t i = 0; i < n; ++i)
        output.content->push_back(Content::of(element(*numbers[0].number, i, *numbers[2].number)));
    } else if (numbers[0].number == 0 && numbers[2].number == 1) {
      output.dims = Dims{numbers[1].as_dim()};
    }
  }

  static constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;
};

}  // namespace

std::unique_ptr<const Op> make_constant_of_shape(AttributeReader& node) {
  return std::make_unique<ConstantOfShape>(node);
}
std::unique_ptr<const Op> make_eye_like(AttributeReader& node) {
  return std::make_unique<EyeLike>(node);
}
std::unique_ptr<const Op> make_one_hot(AttributeReader& node) {
  return std::make_unique<OneHot>(node);
}
std::unique_ptr<const Op> make_range(AttributeReader& node) {
  check_inputs(node, 3, 3);
  return std::make_unique<Range>();
}

}  // namespace bnrun
