// Cast and CastLike: Y = X in another element type. Floats become integers by truncation and saturate,
// anything not zero (NaN included) becomes true; numbers are written as decimal text and read back from it.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/dispatch.h"
#include "base/fail.h"
#include "op/op.h"
#include "op/shape_rules.h"
#include "ops/elementwise/kinds.h"

namespace bnrun {
namespace {

/// `to` of opset 1 is the name of a TensorProto.DataType.
DType dtype_named(std::string_view name) {
  static constexpr std::pair<std::string_view, DType> kNames[] = {
      {"FLOAT", DType::float32},   {"UINT8", DType::uint8},      {"INT8", DType::int8},
      {"UINT16", DType::uint16},   {"INT16", DType::int16},      {"INT32", DType::int32},
      {"INT64", DType::int64},     {"STRING", DType::string},    {"BOOL", DType::boolean},
      {"FLOAT16", DType::float16}, {"DOUBLE", DType::float64},   {"UINT32", DType::uint32},
      {"UINT64", DType::uint64},   {"BFLOAT16", DType::bfloat16}};
  const auto* found =
      std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& row) { return row.first == name; });
  if (found == std::end(kNames)) fail(ErrorCode::invalid_model, "'{}' is no element type", name);
  return found->second;
}

/// Plain decimals, as many as the type needs to come back unchanged.
template <class T>
std::string text_of(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "INF" : "-INF";
    char digits[1100];  // a denormal double has up to 1077 characters
    const auto end = std::to_chars(std::begin(digits), std::end(digits), value, std::chars_format::fixed).ptr;
    return {digits, end};
  } else {
    return fmt::format("{}", value);
  }
}

template <class T>
T number_of(std::string text) {
  const std::string original = text;
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  while (!text.empty() && blank(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), blank));
  if (!text.empty() && text.front() == '+') text.erase(0, 1);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const char* const end = text.data() + text.size();
  T value{};
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) {
    fail(ErrorCode::invalid_input, "'{}' is not a number of the type wanted", original);
  }
  return value;
}

/// long double has the range for what is infinite or zero to every other type.
template <class T>
T parsed(const std::string& text) {
  if constexpr (std::is_same_v<T, bool>) {
    return number_of<long double>(text) != 0.0L;
  } else if constexpr (!std::is_integral_v<T>) {
    return T(static_cast<ComputeType<T>>(number_of<long double>(text)));
  } else if (text.find_first_of(".eEnN") != std::string::npos) {
    // "100.5" is 100, by way of the same rule as a float
    const Tensor number({1}, std::vector<double>{static_cast<double>(number_of<long double>(text))});
    return convert(number, dtype_of<T>).template data<T>()[0];
  } else {
    return number_of<T>(text);
  }
}

class Cast final : public Op {
 public:
  /// `to` undefined: the type of input 1 (CastLike).
  explicit Cast(DType to) : to_(to) {}

  std::vector<ValueType> infer(const InferArgs& args) const override {
    ValueType type = args.inputs[0];
    type.dtype = to_ != DType::undefined ? to_ : args.inputs[1].dtype;
    if (type.dtype != DType::int64 && type.dtype != DType::int32) type.content.reset();
    if (type.content && type.dtype == DType::int32) {
      for (Content& element : *type.content) {
        if (element.number) element.number = static_cast<std::int32_t>(*element.number);
      }
    }
    return {type};
  }

  std::vector<ValueType> required_inputs(const FoldArgs& args) const override {
    auto types = std::vector(args.inputs.begin(), args.inputs.end());
    if (!types[0].ranked()) types[0].dims = args.outputs[0].dims;
    return types;
  }

  void run(const RunArgs& args) const override {
    const TensorView& X = args.in(0);
    const MutableTensorView& Y = args.out(0);
    if (X.dtype == Y.dtype) {
      dispatch(AllTypes{}, X.dtype, [&]<class T>() { std::ranges::copy(X.span<T>(), Y.data<T>()); });
    } else if (X.dtype == DType::string) {
      dispatch(PlainTypes{}, Y.dtype, [&]<class T>() {
        std::ranges::transform(X.span<std::string>(), Y.data<T>(),
                               [](const auto& x) { return parsed<T>(x); });
      });
    } else if (Y.dtype == DType::string) {
      dispatch(PlainTypes{}, X.dtype, [&]<class T>() {
        std::ranges::transform(X.span<T>(), Y.data<std::string>(),
                               [](const T& x) { return text_of(static_cast<ComputeType<T>>(x)); });
      });
    } else {
      convert(X, Y);
    }
  }

  bool reads_elements(std::size_t input) const override { return input == 0; }

  OrDeclined<AffineForm> as_affine(const FoldArgs& args) const override {
    if (!keeps_type(args)) return Declined{Decline::type_mismatch, "it changes the element type"};
    return AffineForm{0, {}};
  }

  OrDeclined<ChannelAffine> pass_affine(Side, const ChannelAffine&, const FoldArgs&) const override {
    return Declined{Decline::type_mismatch, "it changes the element type"};
  }

  std::optional<AxisMap> axes(const FoldArgs& args) const override { return elementwise_axes(args); }

 private:
  static bool keeps_type(const FoldArgs& args) { return args.inputs[0].dtype == args.outputs[0].dtype; }

  DType to_;
};

}  // namespace

std::unique_ptr<const Op> make_cast(AttributeReader& node, CastKind kind) {
  const bool like = kind == CastKind::cast_like;
  check_inputs(node, like ? 2 : 1, like ? 2 : 1);
  if (like || node.version() >= 19) {
    // Both concern the float8 types only, which the engine does not have.
    node.ignore("saturate");
    node.ignore("round_mode");
  }
  if (like) return std::make_unique<Cast>(DType::undefined);
  if (node.version() < 6)
    return std::make_unique<Cast>(node.result_type(dtype_named(node.get_string("to", ""))));
  node.require_int("to");
  return std::make_unique<Cast>(node.get_dtype("to", DType::undefined));
}

}  // namespace bnrun
