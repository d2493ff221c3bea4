// Constant, Flatten, Reshape, Squeeze, Transpose, Unsqueeze: shapes, elements, and affine maps that pass.
#include <gtest/gtest.h>

#include <numeric>

#include "bnrun/error.h"
#include "graph/graph.h"
#include "op/evaluate.h"
#include "op/registry.h"

namespace bnrun {
namespace {

using Ints = std::vector<std::int64_t>;
const Dim N = Dim::symbol("N");
const Dim C = Dim::symbol("C");
const Dim kAny;

Tensor ints(const Ints& values) {
  return {Shape{static_cast<std::int64_t>(values.size())}, values};
}

std::shared_ptr<const Op> op_of(const std::string& op_type, std::int64_t opset, std::size_t inputs,
                                const Attributes& attributes = {}) {
  Node node;
  node.op_type = op_type;
  node.attributes = attributes;
  for (std::size_t i = 0; i < inputs; ++i) node.inputs.push_back({static_cast<std::int32_t>(i)});
  node.outputs.push_back({static_cast<std::int32_t>(inputs)});
  return make_op(call_of(node), opset);
}

/// "float32[N,64]" for a float input of these dimensions and a constant second input.
std::string inferred(const Op& op, const Dims& dims, const std::optional<Tensor>& second = {}) {
  std::vector<ValueType> inputs{{DType::float32, dims}};
  std::vector<TensorView> values(1);
  if (second) {
    inputs.push_back(ValueType::of(second->view()));
    values.push_back(second->view());
  }
  return to_string(op.infer({.inputs = inputs, .values = values}).at(0));
}

template <class F>
ErrorCode code_of(F&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::internal;
}

struct ReshapeCase {
  Dims input;
  Ints shape;
  std::string expected;
};

TEST(Reshape, InfersSymbolicDimensions) {
  const auto op = op_of("Reshape", 13, 2);
  const std::vector<ReshapeCase> cases = {
      {{N, Dim(8), Dim(8)}, {-1, 64}, "float32[N,64]"},
      {{N, Dim(8), Dim(8)}, {0, -1}, "float32[N,64]"},
      {{Dim(0), Dim(8), Dim(8)}, {0, -1}, "float32[0,64]"},
      {{N, Dim(8), Dim(8)}, {-1, 32}, "float32[2*N,32]"},
      {{Dim::symbol("2*N"), Dim(32)}, {-1, 64}, "float32[N,64]"},
      {{Dim::symbol("N + 1*M"), Dim(4)}, {-1, 2}, "float32[2*N + 1*M,2]"},
      {{N, C, Dim(4)}, {0, -1}, "float32[N,4*C]"},
      {{kAny, Dim(6)}, {-1, 3}, "float32[?,3]"},
      {{Dim(2), Dim(3)}, {3, -1, 1}, "float32[3,2,1]"},
      {{Dim(1)}, {}, "float32[]"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(inferred(*op, c.input, ints(c.shape)), c.expected);
  }
}

TEST(Reshape, TakesSymbolsFromTheShapeInput) {
  const auto op = op_of("Reshape", 13, 2);
  const ValueType inputs[] = {
      {DType::float32, Dims{N, Dim(8), Dim(8)}},
      {DType::int64, Dims{Dim(2)}, std::vector<Content>{Content::of(N), Content::of(-1)}}};
  EXPECT_EQ(to_string(op->infer({.inputs = inputs, .values = {}}).at(0)), "float32[N,64]");
}

TEST(Reshape, RejectsShapesThatDoNotFit) {
  const auto op = op_of("Reshape", 13, 2);
  for (const Ints& shape : {Ints{4, 2}, Ints{-1, 4}, Ints{-1, -1}, Ints{2, 3, 0}, Ints{-2, 3}, Ints{}}) {
    EXPECT_EQ(code_of([&] {
                inferred(*op, {Dim(2), Dim(3)}, ints(shape));
              }),
              ErrorCode::invalid_model)
        << ::testing::PrintToString(shape);
  }
}

TEST(Reshape, AllowZeroMakesZeroAnExtent) {
  const auto op = op_of("Reshape", 14, 2, {{"allowzero", std::int64_t{1}}});
  EXPECT_EQ(inferred(*op, {Dim(0), Dim(3)}, ints({3, 0})), "float32[3,0]");
  EXPECT_EQ(code_of([&] { inferred(*op, {Dim(2), Dim(3)}, ints({0, 3})); }), ErrorCode::invalid_model);
}

TEST(Reshape, OpsetOneReadsItsAttribute) {
  EXPECT_EQ(inferred(*op_of("Reshape", 1, 1, {{"shape", Ints{-1, 2}}}), {Dim(4), Dim(3)}), "float32[6,2]");
}

TEST(Flatten, InfersBothSides) {
  const auto flatten = [](std::int64_t axis, const Dims& dims) {
    return inferred(*op_of("Flatten", 13, 1, {{"axis", axis}}), dims);
  };
  const Dims dims{N, Dim(3), Dim(4), Dim(5)};
  EXPECT_EQ(flatten(0, dims), "float32[1,60*N]");
  EXPECT_EQ(flatten(1, dims), "float32[N,60]");
  EXPECT_EQ(flatten(-1, dims), "float32[12*N,5]");
  EXPECT_EQ(flatten(4, dims), "float32[60*N,1]");
  EXPECT_EQ(flatten(0, {}), "float32[1,1]");
  EXPECT_EQ(code_of([&] { flatten(5, dims); }), ErrorCode::invalid_model);
  EXPECT_EQ(code_of([] { op_of("Flatten", 9, 1, {{"axis", std::int64_t{-1}}}); }), ErrorCode::invalid_model);
}

TEST(Squeeze, AxesByAttributeInputOrExtent) {
  const Dims dims{Dim(1), N, Dim(1), Dim(3)};
  EXPECT_EQ(inferred(*op_of("Squeeze", 11, 1, {{"axes", Ints{0, -2}}}), dims), "float32[N,3]");
  EXPECT_EQ(inferred(*op_of("Squeeze", 13, 2), dims, ints({2})), "float32[1,N,3]");
  EXPECT_EQ(inferred(*op_of("Squeeze", 13, 1), dims), "float32[...]");
  EXPECT_EQ(inferred(*op_of("Squeeze", 13, 1), {Dim(1), Dim(2), Dim(1)}), "float32[2]");
  EXPECT_EQ(code_of([&] { inferred(*op_of("Squeeze", 13, 2), dims, ints({3})); }), ErrorCode::invalid_model);
}

TEST(Unsqueeze, NegativeAxesCountInTheOutputRank) {
  EXPECT_EQ(inferred(*op_of("Unsqueeze", 13, 2), {N, Dim(3)}, ints({-1, 0})), "float32[1,N,3,1]");
  EXPECT_EQ(inferred(*op_of("Unsqueeze", 13, 2), {N, Dim(3)}, ints({-2})), "float32[N,1,3]");
  EXPECT_EQ(inferred(*op_of("Unsqueeze", 1, 1, {{"axes", Ints{1, 3}}}), {N, Dim(3)}), "float32[N,1,3,1]");
  EXPECT_EQ(code_of([] {
              inferred(*op_of("Unsqueeze", 13, 2), {N}, ints({0, -3, 1}));
            }),
            ErrorCode::invalid_model);
  EXPECT_EQ(code_of([] { inferred(*op_of("Unsqueeze", 13, 2), {N}, ints({2})); }), ErrorCode::invalid_model);
  EXPECT_EQ(code_of([] { op_of("Unsqueeze", 13, 1); }), ErrorCode::invalid_model);
}

TEST(Transpose, MovesEveryElementType) {
  const auto op = op_of("Transpose", 13, 1, {{"perm", Ints{2, 0, 1}}});
  const auto check = [&]<class T>(const std::vector<T>& values, const std::vector<T>& expected) {
    const Tensor X({1, 2, 3}, values);
    const TensorView views[] = {X.view()};
    const bool wanted[] = {true};
    EXPECT_TRUE(identical(evaluate(*op, views, wanted).at(0), Tensor({3, 1, 2}, expected)));
  };
  check(std::vector<float>{1, 2, 3, 4, 5, 6}, std::vector<float>{1, 4, 2, 5, 3, 6});
  check(std::vector<bool>{true, false, false, true, true, false},
        std::vector<bool>{true, true, false, true, false, false});
  check(std::vector<std::string>{"a", "b", "c", "d", "e", "f"},
        std::vector<std::string>{"a", "d", "b", "e", "c", "f"});
  check(std::vector<std::complex<double>>{1, 2, 3, 4, 5, 6},
        std::vector<std::complex<double>>{1, 4, 2, 5, 3, 6});
}

TEST(Transpose, RejectsWhatIsNoPermutation) {
  for (const Ints& perm : {Ints{0, 0}, Ints{0, 2}, Ints{-1, 0}}) {
    EXPECT_EQ(code_of([&] { op_of("Transpose", 13, 1, {{"perm", perm}}); }), ErrorCode::invalid_model);
  }
  EXPECT_EQ(code_of([] {
              inferred(*op_of("Transpose", 13, 1, {{"perm", Ints{1, 0}}}), {N});
            }),
            ErrorCode::invalid_model);
}

TEST(Constant, HoldsEveryFormOfValue) {
  const auto value = [](const std::string& name, AttributeValue attribute) {
    const auto op = op_of("Constant", 13, 0, {{name, std::move(attribute)}});
    const bool wanted[] = {true};
    return evaluate(*op, {}, wanted).at(0);
  };
  EXPECT_TRUE(identical(value("value", ints({3, 4})), ints({3, 4})));
  EXPECT_TRUE(identical(value("value_int", std::int64_t{7}), Tensor({}, Ints{7})));
  EXPECT_TRUE(identical(value("value_ints", Ints{7, 8}), ints({7, 8})));
  EXPECT_TRUE(identical(value("value_float", 0.5F), Tensor({}, std::vector<float>{0.5F})));
  EXPECT_TRUE(
      identical(value("value_floats", std::vector<float>{1, 2}), Tensor({2}, std::vector<float>{1, 2})));
  EXPECT_TRUE(
      identical(value("value_string", std::string("hi")), Tensor({}, std::vector<std::string>{"hi"})));
  EXPECT_TRUE(identical(value("value_strings", std::vector<std::string>{"a", "b"}),
                        Tensor({2}, std::vector<std::string>{"a", "b"})));
  EXPECT_EQ(code_of([&] { value("sparse_value", OpaqueAttribute{}); }), ErrorCode::unsupported);
  EXPECT_EQ(code_of([] { op_of("Constant", 13, 0); }), ErrorCode::invalid_model);
  EXPECT_EQ(code_of([] {
              op_of("Constant", 13, 0, {{"value_int", std::int64_t{1}}, {"value_float", 1.0F}});
            }),
            ErrorCode::invalid_model);
}

// -------- affine maps

/// y = scale*x + shift, by walking the whole index space.
Tensor affine_of(const Tensor& x, const ChannelAffine& affine) {
  Tensor y(DType::float64, x.shape());
  const std::int64_t inner =
      affine.uniform() ? 1 : x.shape().elements(static_cast<std::size_t>(affine.axis) + 1, x.shape().rank());
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    const std::size_t c =
        affine.uniform()
            ? 0
            : static_cast<std::size_t>(i / inner % x.shape()[static_cast<std::size_t>(affine.axis)]);
    y.mutable_data<double>()[i] = affine.scale[c] * x.data<double>()[i] + affine.shift[c];
  }
  return y;
}

struct PassCase {
  std::string op_type;
  Attributes attributes;
  std::optional<Ints> second;
  Shape input;
  Side from;
  ChannelAffine affine;
  std::optional<int> axis;  ///< of the passed map; absent: it must be declined
};

Dims dims_with_symbolic_batch(const Shape& shape) {
  Dims dims(shape.begin(), shape.end());
  if (!dims.empty()) dims[0] = N;
  return dims;
}

/// op(affine(x)) == passed(op(x)), or passed and affine exchanged when the map comes from the output's side.
void check_pass(const PassCase& c, bool symbolic) {
  SCOPED_TRACE(::testing::Message() << c.op_type << to_string(c.input)
                                    << (c.from == Side::input ? " in" : " out") << " axis " << c.affine.axis
                                    << (symbolic ? " symbolic" : ""));
  const auto op = op_of(c.op_type, 13, c.second ? 2 : 1, c.attributes);
  Tensor x(DType::float64, c.input);
  std::iota(x.mutable_span<double>().begin(), x.mutable_span<double>().end(), 1.0);
  Tensor second = c.second ? ints(*c.second) : Tensor();
  std::vector<TensorView> views{x.view()};
  std::vector<ValueType> types{
      {DType::float64, symbolic ? dims_with_symbolic_batch(c.input) : Dims(c.input.begin(), c.input.end())}};
  std::vector<const Tensor*> constants{nullptr};
  if (c.second) {
    views.push_back(second.view());
    types.push_back(ValueType::of(second.view()));
    constants.push_back(&second);
  }
  std::vector<TensorView> known(views.size());
  if (c.second) known[1] = views[1];
  const auto outputs = op->infer({.inputs = types, .values = known});
  const bool used[] = {true};
  const auto result = op->pass_affine(
      c.from, c.affine, {.inputs = types, .outputs = outputs, .constants = constants, .output_used = used});
  if (!c.axis) {
    ASSERT_TRUE(std::holds_alternative<Declined>(result));
    EXPECT_EQ(std::get<Declined>(result).reason, Decline::axis_unproven);
    return;
  }
  ASSERT_TRUE(std::holds_alternative<ChannelAffine>(result)) << std::get<Declined>(result).detail;
  const auto& passed = std::get<ChannelAffine>(result);
  EXPECT_EQ(passed.axis, *c.axis);
  const bool wanted[] = {true};
  const auto run = [&](const Tensor& data) {
    views[0] = data.view();
    return evaluate(*op, views, wanted).at(0);
  };
  const ChannelAffine& before = c.from == Side::input ? c.affine : passed;
  const ChannelAffine& after = c.from == Side::input ? passed : c.affine;
  EXPECT_TRUE(identical(run(affine_of(x, before)), affine_of(run(x), after)));
}

TEST(PassAffine, EqualsTheMapOnTheOtherSide) {
  const ChannelAffine uniform{ChannelAffine::kUniform, {2}, {3}};
  const auto on = [](int axis, std::vector<double> scale) {
    ChannelAffine affine{axis, scale, scale};
    for (double& shift : affine.shift) shift = 10 - shift;
    return affine;
  };
  const auto in = Side::input;
  const auto out = Side::output;
  const Ints perm{0, 2, 3, 1};
  const std::vector<PassCase> cases = {
      {"Transpose", {{"perm", perm}}, {}, {2, 3, 4, 5}, in, on(1, {1, 2, 3}), 3},
      {"Transpose", {{"perm", perm}}, {}, {2, 3, 4, 5}, out, on(1, {1, 2, 3, 4}), 2},
      {"Transpose", {}, {}, {2, 3, 4}, in, on(1, {1, 2, 3}), 1},
      {"Transpose", {}, {}, {2, 3}, out, on(0, {1, 2, 3}), 1},
      {"Unsqueeze", {}, Ints{2}, {2, 3}, in, on(1, {1, 2, 3}), 1},
      {"Unsqueeze", {}, Ints{0, 1}, {2, 3}, in, on(1, {1, 2, 3}), 3},
      {"Unsqueeze", {}, Ints{0, 1}, {2, 3}, out, on(3, {1, 2, 3}), 1},
      {"Unsqueeze", {}, Ints{1}, {2, 3}, out, on(1, {4}), ChannelAffine::kUniform},
      {"Squeeze", {}, Ints{1}, {2, 1, 3}, in, on(2, {1, 2, 3}), 1},
      {"Squeeze", {}, Ints{1}, {2, 1, 3}, out, on(1, {1, 2, 3}), 2},
      {"Squeeze", {}, Ints{-1}, {2, 3, 1}, in, on(1, {1, 2, 3}), 1},
      {"Flatten", {}, {}, {2, 3, 1, 1}, in, on(1, {1, 2, 3}), 1},
      {"Flatten", {}, {}, {2, 3, 1, 1}, out, on(1, {1, 2, 3}), 1},
      {"Flatten", {}, {}, {2, 3, 2, 2}, in, on(1, {1, 2, 3}), 1},
      {"Flatten", {}, {}, {2, 3, 2, 2}, in, on(3, {1, 2}), 1},
      {"Flatten", {}, {}, {2, 2, 2, 1}, out, on(1, {1, 1, 5, 5}), 1},
      {"Flatten", {}, {}, {2, 2, 2, 1}, out, on(1, {1, 5, 1, 5}), 2},
      {"Flatten", {}, {}, {2, 2, 2, 1}, out, on(1, {1, 2, 3, 4}), std::nullopt},
      {"Flatten", {{"axis", std::int64_t{2}}}, {}, {2, 3, 4}, in, on(2, {1, 2, 3, 4}), 1},
      {"Reshape", {}, Ints{0, 3, 1}, {2, 3}, in, on(1, {1, 2, 3}), 1},
      {"Reshape", {}, Ints{-1, 6}, {2, 3, 2}, in, on(1, {1, 2, 3}), 1},
      {"Reshape", {}, Ints{0, 2, 3}, {2, 6}, in, on(1, {1, 2, 1, 2, 1, 3}), std::nullopt},
      {"Reshape", {}, Ints{0, 2, 3}, {2, 6}, in, on(1, {1, 2, 3, 1, 2, 3}), 2},
      {"Reshape", {}, Ints{-1, 3}, {6, 2}, in, on(1, {1, 2}), std::nullopt},
      {"Reshape", {}, Ints{-1, 4}, {6, 2}, in, on(1, {1, 2}), 1},
      {"Flatten", {}, {}, {2, 3, 2, 2}, in, uniform, ChannelAffine::kUniform},
      {"Transpose", {}, {}, {2, 3}, out, uniform, ChannelAffine::kUniform},
  };
  for (const PassCase& c : cases) {
    check_pass(c, false);
    if (c.affine.axis != 0) check_pass(c, true);
  }
}

TEST(PassAffine, ChannelsBehindAnUnknownExtentAreUnproven) {
  const auto op = op_of("Flatten", 13, 1);
  const ValueType inputs[] = {{DType::float32, Dims{N, Dim(3), kAny, Dim(4)}}};
  const auto outputs = op->infer({.inputs = inputs, .values = {}});
  const auto result =
      op->pass_affine(Side::input, {1, {1, 2, 3}, {0, 0, 0}},
                      {.inputs = inputs, .outputs = outputs, .constants = {}, .output_used = {}});
  ASSERT_TRUE(std::holds_alternative<Declined>(result));
  EXPECT_EQ(std::get<Declined>(result).reason, Decline::axis_unproven);
}

TEST(RowWise, WhereTheFirstAxisStays) {
  const auto row_wise = [](const Op& op, const Dims& dims, const std::optional<Tensor>& second = {}) {
    std::vector<ValueType> inputs{{DType::float32, dims}};
    std::vector<TensorView> values(1);
    std::vector<const Tensor*> constants{nullptr};
    if (second) {
      inputs.push_back(ValueType::of(second->view()));
      values.push_back(second->view());
      constants.push_back(&*second);
    }
    const auto outputs = op.infer({.inputs = inputs, .values = values});
    const auto axes =
        op.axes({.inputs = inputs, .outputs = outputs, .constants = constants, .output_used = {}});
    return axes && axes->keeps_rows();
  };
  const Dims image{N, Dim(3), Dim(4)};
  EXPECT_TRUE(row_wise(*op_of("Flatten", 13, 1), image));
  EXPECT_FALSE(row_wise(*op_of("Flatten", 13, 1, {{"axis", std::int64_t{2}}}), image));
  EXPECT_TRUE(row_wise(*op_of("Reshape", 13, 2), image, ints({-1, 12})));
  EXPECT_TRUE(row_wise(*op_of("Reshape", 13, 2), image, ints({0, 12})));
  EXPECT_FALSE(row_wise(*op_of("Reshape", 13, 2), image, ints({-1, 6})));
  EXPECT_FALSE(row_wise(*op_of("Reshape", 13, 2), {Dim(4), Dim(3), Dim(4)}, ints({4, 12})));
  EXPECT_TRUE(row_wise(*op_of("Unsqueeze", 13, 2), image, ints({1})));
  EXPECT_FALSE(row_wise(*op_of("Unsqueeze", 13, 2), image, ints({0})));
  EXPECT_TRUE(row_wise(*op_of("Transpose", 13, 1, {{"perm", Ints{0, 2, 1}}}), image));
  EXPECT_FALSE(row_wise(*op_of("Transpose", 13, 1), image));
}

}  // namespace
}  // namespace bnrun
