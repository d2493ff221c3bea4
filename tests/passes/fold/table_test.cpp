// Folding, tables: {disguise} x {convolution} x {direction} x {operator between} x {type}, and {disguise} x
// {operator between} for dense layers. Each case asserts what is left and computes batches of 0, 1 and 7
// rows.
#include <gtest/gtest.h>

#include <functional>

#include "support/fold_testing.h"

namespace bnrun {
namespace {

using namespace testing;

constexpr std::int64_t kChannels = 4;

double tolerance_of(DType dtype) {
  return dtype == DType::float64 ? 1e-13 : dtype == DType::float32 ? 4e-6 : 2e-2;
}

/// A map of kChannels on axis 1 of a tensor of this rank.
struct Disguise {
  const char* name;
  std::function<ValueId(Maker&, ValueId, std::size_t rank)> build;
  bool shifts = true;
  bool scales = true;
};

Shape per_channel(std::size_t rank) {
  Shape shape{kChannels};
  for (std::size_t axis = 2; axis < rank; ++axis) shape.push_back(1);
  return shape;
}

const Disguise kDisguises[] = {
    {"BatchNormalization",
     [](Maker& m, ValueId x, std::size_t) {
       const Shape C{kChannels};
       return m.b.op("BatchNormalization",
                     {x, m.random(C, 0.5, 2.0), m.random(C), m.random(C), m.random(C, 0.5, 2.0)});
     }},
    {"MulAdd",
     [](Maker& m, ValueId x, std::size_t rank) {
       return m.b.op(
           "Add", {m.b.op("Mul", {x, m.random(per_channel(rank), 0.5, 2.0)}), m.random(per_channel(rank))});
     }},
    {"SubDiv",
     [](Maker& m, ValueId x, std::size_t rank) {
       return m.b.op(
           "Div", {m.b.op("Sub", {x, m.random(per_channel(rank))}), m.random(per_channel(rank), 0.5, 2.0)});
     }},
    {"ConstantPlusNegative",
     [](Maker& m, ValueId x, std::size_t rank) {
       return m.b.op("Add", {m.random(per_channel(rank)), m.b.op("Neg", {m.b.op("Neg", {x})})});
     },
     true, false},
    {"Mul",
     [](Maker& m, ValueId x, std::size_t rank) {
       return m.b.op("Mul", {m.random(per_channel(rank), 0.5, 2.0), x});
     },
     false},
    {"ScalarDiv",
     [](Maker& m, ValueId x, std::size_t) {
       return m.b.op("Div", {x, m.random({}, 0.5, 2.0)});
     },
     false},
};

/// An operator between the map and the layer, and whether a shift passes it.
struct Between {
  const char* name;
  std::function<ValueId(Maker&, ValueId)> build;
  Operators left;
  bool shifts = true;
};

/// The layer and the operator between are left; where a shift cannot pass, so is a shift, or all of the map where
/// it does not scale.
void expect(const Maker& m, const Between& between, const Disguise& disguise, bool backward, Operators left) {
  const bool whole = between.shifts || !disguise.shifts;
  const Model original = m.b.model();
  if (!whole && disguise.scales) ++left[backward ? "Add" : "Sub"];
  if (!whole && !disguise.scales) {
    Model folded = original;
    const auto report = fold(folded);
    for (const FoldEntry& entry : report.entries) EXPECT_FALSE(entry.folded) << entry.name;
    EXPECT_LE(distance_from_truth(original, folded, 7), tolerance_of(m.dtype));
    return;
  }
  for (const auto& [name, number] : between.left) left[name] += number;
  const auto report = expect_fold(original, left, tolerance_of(m.dtype));
  EXPECT_TRUE(report.complete());
}

// ---------------------------------------------------------------- convolutions

struct Convolution {
  const char* name;
  const char* op_type;
  std::int64_t groups;
  bool bias;
  std::int64_t pad;
};

constexpr Convolution kConvolutions[] = {
    {"Conv", "Conv", 1, true, 0},
    {"ConvWithoutBias", "Conv", 1, false, 0},
    {"ConvGroups", "Conv", 2, true, 0},
    {"ConvDepthwise", "Conv", kChannels, false, 0},
    {"ConvPadded", "Conv", 1, true, 1},
    {"ConvTranspose", "ConvTranspose", 1, true, 0},
    {"ConvTransposeGroups", "ConvTranspose", 2, false, 0},
};

ValueId convolution(Maker& m, const Convolution& form, ValueId x) {
  std::vector<NodeInput> inputs{x, m.random({kChannels, kChannels / form.groups, 2, 2})};
  if (form.bias) inputs.push_back(m.random({kChannels}));
  return m.b.op(form.op_type, inputs,
                {{"group", form.groups}, {"pads", std::vector<std::int64_t>(4, form.pad)}});
}

const Between kPlanes[] = {
    {"Directly", [](Maker&, ValueId x) { return x; }, {}},
    {"Relu", [](Maker& m, ValueId x) { return m.b.op("Relu", {x}); }, {{"Relu", 1}}, false},
    {"LeakyRelu", [](Maker& m, ValueId x) { return m.b.op("LeakyRelu", {x}); }, {{"LeakyRelu", 1}}, false},
    {"MaxPool",
     [](Maker& m, ValueId x) {
       return m.b.op("MaxPool", {x}, {{"kernel_shape", std::vector<std::int64_t>{2, 2}}});
     },
     {{"MaxPool", 1}}},
    {"AveragePool",
     [](Maker& m, ValueId x) {
       return m.b.op("AveragePool", {x}, {{"kernel_shape", std::vector<std::int64_t>{2, 2}}});
     },
     {{"AveragePool", 1}}},
    {"Dropout", [](Maker& m, ValueId x) { return m.b.op("Dropout", {x}); }, {}},
};

using ConvCase = std::tuple<Convolution, Between, Disguise, bool, DType>;
class FoldConvTable : public ::testing::TestWithParam<ConvCase> {};

TEST_P(FoldConvTable, LeavesTheConvolution) {
  const auto& [form, between, disguise, backward, dtype] = GetParam();
  Maker m;
  m.dtype = dtype;
  const ValueId x = m.b.input("x", dtype, {"N", kChannels, 5, 6});
  const ValueId y =
      backward ? disguise.build(m, between.build(m, convolution(m, form, x)), 4)
               : convolution(m, form, between.build(m, disguise.build(m, m.b.op("Sigmoid", {x}), 4)));
  m.b.output(m.b.op("Tanh", {y}));
  // In front of padding, or of a transposed convolution, a shift is not the same everywhere.
  const bool uneven = form.pad > 0 || form.op_type == std::string("ConvTranspose");
  Between reached = between;
  if (!backward && uneven) reached.shifts = false;
  Operators left{{form.op_type, 1}, {"Tanh", 1}};
  if (!backward) left["Sigmoid"] = 1;
  expect(m, reached, disguise, backward, left);
}

std::string conv_case_name(const ::testing::TestParamInfo<ConvCase>& row) {
  const auto& [form, between, disguise, backward, dtype] = row.param;
  return std::string(disguise.name) + (backward ? "After" : "Before") + form.name + between.name +
         std::string(bnrun::name_of(dtype));
}

INSTANTIATE_TEST_SUITE_P(All, FoldConvTable,
                         ::testing::Combine(::testing::ValuesIn(kConvolutions), ::testing::ValuesIn(kPlanes),
                                            ::testing::ValuesIn(kDisguises), ::testing::Bool(),
                                            ::testing::Values(DType::float32, DType::float64,
                                                              DType::float16)),
                         conv_case_name);

// ---------------------------------------------------------------- dense layers

const Between kRows[] = {
    {"Unsqueeze",
     [](Maker& m, ValueId x) {
       return m.b.op("Unsqueeze", {x, Tensor({1}, std::vector<std::int64_t>{2})});
     },
     {{"Unsqueeze", 1}}},
    {"UnsqueezeTwice",
     [](Maker& m, ValueId x) {
       return m.b.op("Unsqueeze", {x, Tensor({2}, std::vector<std::int64_t>{-1, -2})});
     },
     {{"Unsqueeze", 1}}},
    {"Reshape",
     [](Maker& m, ValueId x) {
       return m.b.op("Reshape", {x, Tensor({3}, std::vector<std::int64_t>{0, kChannels, 1})});
     },
     {{"Reshape", 1}}},
    {"ReluThenUnsqueeze",
     [](Maker& m, ValueId x) {
       return m.b.op("Unsqueeze", {m.b.op("Relu", {x}), Tensor({1}, std::vector<std::int64_t>{2})});
     },
     {{"Relu", 1}, {"Unsqueeze", 1}},
     false},
    {"PRelu",
     [](Maker& m, ValueId x) {
       return m.b.op("PRelu", {x, m.random({kChannels})});
     },
     {{"PRelu", 1}},
     false},
    {"Identity", [](Maker& m, ValueId x) { return m.b.op("Identity", {x}); }, {}},
    {"Flatten", [](Maker& m, ValueId x) { return m.b.op("Flatten", {x}); }, {}},
    {"MaxWithItself",
     [](Maker& m, ValueId x) {
       return m.b.op("Max", {x, x});
     },
     {{"Max", 1}}},
};

struct Dense {
  const char* name;
  const char* op_type;
  Attributes attributes;
  bool bias;
};
const Dense kDense[] = {
    {"Gemm", "Gemm", {}, true},
    {"GemmWithoutC", "Gemm", {}, false},
    {"GemmTransBAlpha", "Gemm", {{"transB", std::int64_t{1}}, {"alpha", 0.5F}}, true},
    {"GemmBeta", "Gemm", {{"beta", -2.0F}}, true},
    {"MatMul", "MatMul", {}, false},
};

using DenseCase = std::tuple<Dense, Between, Disguise, DType>;
class FoldDenseTable : public ::testing::TestWithParam<DenseCase> {};

TEST_P(FoldDenseTable, LeavesTheLayer) {
  const auto& [form, between, disguise, dtype] = GetParam();
  Maker m;
  m.dtype = dtype;
  std::vector<NodeInput> inputs{m.b.input("x", dtype, {"N", kChannels}), m.random({kChannels, kChannels})};
  if (form.bias) inputs.push_back(m.random({kChannels}));
  const ValueId h = between.build(m, m.b.op(form.op_type, inputs, form.attributes));
  const std::string_view last = between.name;
  const std::size_t rank = last.find("Twice") != std::string_view::npos                          ? 4
                           : last.find("squeeze") != std::string_view::npos || last == "Reshape" ? 3
                                                                                                 : 2;
  m.b.output(m.b.op("Tanh", {disguise.build(m, h, rank)}));
  const bool becomes_gemm = form.op_type == std::string("MatMul") && disguise.shifts && between.shifts;
  expect(m, between, disguise, true, {{becomes_gemm ? "Gemm" : form.op_type, 1}, {"Tanh", 1}});
}

std::string dense_case_name(const ::testing::TestParamInfo<DenseCase>& row) {
  const auto& [form, between, disguise, dtype] = row.param;
  return std::string(disguise.name) + "After" + form.name + between.name + std::string(bnrun::name_of(dtype));
}

INSTANTIATE_TEST_SUITE_P(All, FoldDenseTable,
                         ::testing::Combine(::testing::ValuesIn(kDense), ::testing::ValuesIn(kRows),
                                            ::testing::ValuesIn(kDisguises),
                                            ::testing::Values(DType::float32, DType::float64, DType::float16,
                                                              DType::bfloat16)),
                         dense_case_name);

}  // namespace
}  // namespace bnrun
