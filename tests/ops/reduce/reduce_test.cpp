// Reductions and other operators along axes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
using Ints = std::vector<std::int64_t>;

Tensor axes(const Ints& values) {
  return Tensor({static_cast<std::int64_t>(values.size())}, values);
}

struct ReduceCase {
  const char* name;
  double row, column, all, empty;  ///< of X below
};

class ReduceTest : public ::testing::TestWithParam<ReduceCase> {};

// X = [[1, 2, 4], [3, 5, 1]]: its first row, its last column, everything, nothing
TEST_P(ReduceTest, ByHandInEveryFloatTypeAndForm) {
  const auto& [name, row, column, all, empty] = GetParam();
  const bool is_sum = std::string(name) == "ReduceSum";
  const std::int64_t input_version = is_sum ? 13 : 18;
  for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    const Tensor X = tensor_of(dtype, {2, 3}, {1, 2, 4, 3, 5, 1});
    const auto first = [&](const Tensor& t) {
      return tensor_of(DType::float64, {1}, {convert(t, DType::float64).data<double>()[0]});
    };
    const auto expect_first = [&](const Tensor& actual, double expected) {
      const double tolerance = dtype == DType::bfloat16 ? 1e-2 : dtype == DType::float16 ? 2e-3 : 1e-6;
      expect_close(first(actual), tensor<double>({1}, {expected}), tolerance, tolerance);
    };
    const Tensor rows = run_op(name, 11, {X}, {{"axes", Ints{-1}}})[0];
    EXPECT_EQ(rows.shape(), (Shape{2, 1}));
    expect_first(rows, row);
    const Tensor columns = run_op(name, input_version, {X, axes({0})}, {{"keepdims", 0}})[0];
    EXPECT_EQ(columns.shape(), (Shape{3}));
    expect_first(run_op(name, 1, {X}, {{"axes", Ints{0}}, {"keepdims", 0}})[0],
                 convert(columns, DType::float64).data<double>()[0]);
    expect_first(tensor_of(DType::float64, {1}, {convert(columns, DType::float64).data<double>()[2]}),
                 column);
    const Tensor everything = run_op(name, 11, {X}, {{"keepdims", 0}})[0];
    EXPECT_EQ(everything.shape(), Shape{});
    expect_first(everything, all);
    expect_first(run_op(name, input_version, {X})[0], all);
    expect_first(run_op(name, input_version, {X, axes({})})[0], all);
    const Tensor none =
        run_op(name, 13, {Tensor(dtype, {2, 0})}, is_sum ? Attributes{} : Attributes{{"axes", Ints{1}}})[0];
    expect_first(none, empty);
  }
  EXPECT_EQ(run_op_error(name, 11, {Tensor(DType::float32, {2}), axes({0})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error(name, input_version, {Tensor(DType::float32, {2})}, {{"axes", Ints{0}}}),
            ErrorCode::unsupported);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ReduceTest,
    ::testing::Values(ReduceCase{"ReduceL1", 7, 5, 16, 0},
                      ReduceCase{"ReduceL2", std::sqrt(21.0), std::sqrt(17.0), std::sqrt(56.0), 0},
                      ReduceCase{"ReduceLogSum", std::log(7.0), std::log(5.0), std::log(16.0), -kInf},
                      ReduceCase{"ReduceLogSumExp", 4.169846016, 4.048587352, 5.463503216, -kInf},
                      ReduceCase{"ReduceMax", 4, 4, 5, -kInf},
                      ReduceCase{"ReduceMean", 7.0 / 3, 2.5, 16.0 / 6, kNaN},
                      ReduceCase{"ReduceMin", 1, 1, 1, kInf}, ReduceCase{"ReduceProd", 8, 4, 120, 1},
                      ReduceCase{"ReduceSum", 7, 5, 16, 0}, ReduceCase{"ReduceSumSquare", 21, 17, 56, 0}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Reduce, NoAxesAndNoopKeepsTheShapeButNotTheFunction) {
  const Tensor X({2}, std::vector<float>{-3, 2});
  const Attributes noop = {{"noop_with_empty_axes", 1}};
  expect_close(run_op("ReduceSum", 13, {X}, noop)[0], X);
  expect_close(run_op("ReduceMean", 18, {X, axes({})}, noop)[0], X);
  expect_close(run_op("ReduceL1", 18, {X}, noop)[0], tensor<float>({2}, {3, 2}));
  expect_close(run_op("ReduceSumSquare", 18, {X}, noop)[0], tensor<float>({2}, {9, 4}));
}

TEST(Reduce, Integers) {
  const Tensor X({4}, std::vector<std::int32_t>{7, -2, 3, -1});
  const auto is = [&](const char* name, std::int32_t expected) {
    expect_close(run_op(name, 11, {X}, {{"keepdims", 0}})[0], tensor<std::int32_t>({}, {expected}));
  };
  is("ReduceSum", 7);
  is("ReduceMean", 1);
  is("ReduceL1", 13);
  is("ReduceL2", 7);
  is("ReduceProd", 42);
  is("ReduceMax", 7);
  is("ReduceMin", -2);
  is("ReduceSumSquare", 63);
  const Tensor big({2}, std::vector<std::int64_t>{(std::int64_t{1} << 60) + 1, 1});
  expect_close(run_op("ReduceSum", 13, {big})[0], tensor<std::int64_t>({1}, {(std::int64_t{1} << 60) + 2}));
  expect_close(run_op("ReduceMean", 13, {tensor<std::int32_t>({2}, {-3, 0})})[0],
               tensor<std::int32_t>({1}, {-1}));
  const Tensor nothing(DType::int8, {0});
  expect_close(run_op("ReduceMax", 12, {nothing})[0], tensor<std::int8_t>({1}, {-128}));
  expect_close(run_op("ReduceMin", 12, {nothing})[0], tensor<std::int8_t>({1}, {127}));
  const Tensor flags({2}, std::vector<bool>{true, false});
  expect_close(run_op("ReduceMax", 20, {flags})[0], Tensor({1}, std::vector<bool>{true}));
  expect_close(run_op("ReduceMin", 20, {flags})[0], Tensor({1}, std::vector<bool>{false}));
  EXPECT_EQ(run_op_error("ReduceSum", 13, {flags}), ErrorCode::unsupported);
}

TEST(Reduce, NaNAndInfinities) {
  const Tensor X({3, 2}, std::vector<double>{1, kNaN, kInf, 1, -kInf, -kInf});
  const auto reduce = [&](const char* name) {
    return run_op(name, 11, {X}, {{"axes", Ints{1}}, {"keepdims", 0}})[0];
  };
  expect_close(reduce("ReduceMax"), tensor<double>({3}, {kNaN, kInf, -kInf}));
  expect_close(reduce("ReduceMin"), tensor<double>({3}, {kNaN, 1, -kInf}));
  expect_close(reduce("ReduceLogSumExp"), tensor<double>({3}, {kNaN, kInf, -kInf}));
  expect_close(run_op("ReduceLogSumExp", 13, {tensor<float>({2}, {1000, 1000})})[0],
               tensor<float>({1}, {1000.6931472F}));
}

TEST(Reduce, FloatsAddUpInDouble) {
  // 2^24 + 1 + ... is where a float stops counting
  std::vector<float> values(1001, 1.0F);
  values[0] = 16777216.0F;
  expect_close(run_op("ReduceSum", 11, {Tensor({1001}, values)})[0], tensor<float>({1}, {16778216.0F}), 0.0,
               0.0);
}

TEST(Reduce, RejectsBadAxes) {
  const Tensor X(DType::float32, {2, 3});
  EXPECT_EQ(run_op_error("ReduceSum", 13, {X, axes({2})}), ErrorCode::invalid_model);
  EXPECT_EQ(run_op_error("ReduceSum", 13, {X, axes({1, -1})}), ErrorCode::invalid_model);
}

TEST(Reduce, MeanLetsTheChannelsPass) {
  const ValueType X{DType::float32, Dims{Dim::symbol("N"), Dim(2), Dim(5), Dim(5)}};
  const ChannelAffine map{1, {2.0, 3.0}, {1.0, -1.0}};
  const auto mean = [](const Ints& over, std::int64_t keepdims) {
    return op_of("ReduceMean", 13, 1, {{"axes", over}, {"keepdims", keepdims}});
  };
  const FoldArgs args{.inputs = std::span(&X, 1)};
  const auto over_space = mean({2, 3}, 0)->pass_affine(Side::input, map, args);
  ASSERT_TRUE(std::holds_alternative<ChannelAffine>(over_space));
  EXPECT_EQ(std::get<ChannelAffine>(over_space).axis, 1);
  const auto over_batch = mean({0}, 0)->pass_affine(Side::input, map, args);
  ASSERT_TRUE(std::holds_alternative<ChannelAffine>(over_batch));
  EXPECT_EQ(std::get<ChannelAffine>(over_batch).axis, 0);
  const ChannelAffine moved{0, {2.0, 3.0}, {1.0, -1.0}};
  const auto back = mean({0}, 0)->pass_affine(Side::output, moved, args);
  ASSERT_TRUE(std::holds_alternative<ChannelAffine>(back));
  EXPECT_EQ(std::get<ChannelAffine>(back).axis, 1);
  EXPECT_TRUE(std::holds_alternative<Declined>(mean({1}, 1)->pass_affine(Side::input, map, args)));
}

TEST(Reduce, SumCountsAShiftForEachElement) {
  const ValueType X{DType::float32, Dims{Dim::symbol("N"), Dim(2), Dim(5), Dim(5)}};
  const ChannelAffine map{1, {2.0, 3.0}, {1.0, -1.0}};
  const FoldArgs args{.inputs = std::span(&X, 1)};
  const auto sum = [](const Ints& over) { return op_of("ReduceSum", 11, 1, {{"axes", over}}); };
  const auto plane = sum({2, 3})->pass_affine(Side::input, map, args);
  ASSERT_TRUE(std::holds_alternative<ChannelAffine>(plane));
  EXPECT_EQ(std::get<ChannelAffine>(plane), (ChannelAffine{1, {2.0, 3.0}, {25.0, -25.0}}));
  const auto back = sum({2, 3})->pass_affine(Side::output, std::get<ChannelAffine>(plane), args);
  ASSERT_TRUE(std::holds_alternative<ChannelAffine>(back));
  EXPECT_EQ(std::get<ChannelAffine>(back), map);
  EXPECT_TRUE(std::holds_alternative<Declined>(sum({0})->pass_affine(Side::input, map, args)));
  const ChannelAffine scale{1, {2.0, 3.0}, {0.0, 0.0}};
  EXPECT_TRUE(std::holds_alternative<ChannelAffine>(sum({0})->pass_affine(Side::input, scale, args)));
}

TEST(CumSum, AllFourForms) {
  const Tensor X({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const Tensor rows({}, Ints{1});
  const Tensor columns({1}, std::vector<std::int32_t>{-2});
  expect_close(run_op("CumSum", 11, {X, rows})[0], tensor<float>({2, 3}, {1, 3, 6, 4, 9, 15}));
  expect_close(run_op("CumSum", 14, {X, columns})[0], tensor<float>({2, 3}, {1, 2, 3, 5, 7, 9}));
  expect_close(run_op("CumSum", 14, {X, rows}, {{"exclusive", 1}})[0],
               tensor<float>({2, 3}, {0, 1, 3, 0, 4, 9}));
  expect_close(run_op("CumSum", 14, {X, rows}, {{"reverse", 1}})[0],
               tensor<float>({2, 3}, {6, 5, 3, 15, 11, 6}));
  expect_close(run_op("CumSum", 14, {convert(X, DType::int64), rows}, {{"exclusive", 1}, {"reverse", 1}})[0],
               tensor<std::int64_t>({2, 3}, {5, 3, 0, 11, 6, 0}));
}

TEST(CumSum, ConstantAxisOutsideTheTensorIsRefusedByInference) {
  const Tensor axis({1}, std::vector<std::int64_t>{2});
  const ValueType types[] = {{DType::float32, Dims{Dim::symbol("N"), Dim(3)}}, ValueType::of(axis.view())};
  const TensorView values[] = {{}, axis};
  expect_error(ErrorCode::invalid_model,
               [&] { op_of("CumSum", 14, 2)->infer({.inputs = types, .values = values}); });
}

TEST(TopK, EveryElementType) {
  for (const DType dtype :
       {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::int8, DType::int16,
        DType::int32, DType::int64, DType::uint8, DType::uint16, DType::uint32, DType::uint64}) {
    SCOPED_TRACE(name_of(dtype));
    const bool is_unsigned = name_of(dtype).starts_with("uint");
    const double low = is_unsigned ? 1 : -7;
    const Tensor X = tensor_of(dtype, {5}, {3, low, 100, low + 1, 100});
    const Tensor all({1}, std::vector<std::int64_t>{5});
    auto result = run_op("TopK", 11, {X, all}, {}, 2);
    expect_close(result[0], tensor_of(dtype, {5}, {100, 100, 3, low + 1, low}));
    expect_close(result[1], tensor<std::int64_t>({5}, {2, 4, 0, 3, 1}));
    result = run_op("TopK", 11, {X, all}, {{"largest", 0}}, 2);
    expect_close(result[0], tensor_of(dtype, {5}, {low, low + 1, 3, 100, 100}));
    expect_close(result[1], tensor<std::int64_t>({5}, {1, 3, 0, 2, 4}));
  }
  // -0 and 0 are equal: the lower index first
  const Tensor two({1}, std::vector<std::int64_t>{2});
  expect_close(run_op("TopK", 11, {tensor<float>({3}, {-0.0F, 0.0F, -1e-45F}), two}, {}, 2)[1],
               tensor<std::int64_t>({2}, {0, 1}));
}

TEST(TopK, EveryVersionTiesAndNaN) {
  const Tensor X({2, 4}, std::vector<float>{1, 9, 9, 3, 8, 2, 7, 2});
  const Tensor two({1}, Ints{2});
  auto result = run_op("TopK", 1, {X}, {{"k", 2}}, 2);
  expect_close(result[0], tensor<float>({2, 2}, {9, 9, 8, 7}));
  expect_close(result[1], tensor<std::int64_t>({2, 2}, {1, 2, 0, 2}));
  result = run_op("TopK", 10, {X, tensor<std::int64_t>({1}, {1})}, {{"axis", 0}}, 2);
  expect_close(result[0], tensor<float>({1, 4}, {8, 9, 9, 3}));
  expect_close(result[1], tensor<std::int64_t>({1, 4}, {1, 0, 0, 0}));
  result = run_op("TopK", 11, {X, two}, {{"largest", 0}, {"sorted", 1}}, 2);
  expect_close(result[0], tensor<float>({2, 2}, {1, 3, 2, 2}));
  expect_close(result[1], tensor<std::int64_t>({2, 2}, {0, 3, 1, 3}));
  result = run_op("TopK", 24, {tensor<double>({3}, {5, kNaN, kInf}), two}, {}, 2);
  expect_close(result[1], tensor<std::int64_t>({2}, {1, 2}));
  EXPECT_EQ(run_op("TopK", 11, {X, tensor<std::int64_t>({1}, {0})}, {}, 2)[0].shape(), (Shape{2, 0}));
  EXPECT_EQ(run_op_error("TopK", 11, {X, tensor<std::int64_t>({1}, {5})}, {}, 2), ErrorCode::invalid_input);
}

TEST(Reductions, AreTheSameOverEverySetOfAxesAsElementByElement) {
  const Shape shape{3, 4, 5, 18};
  const auto cube = random_tensor<double>(shape, 5, -2.0, 3.0);
  for (unsigned set = 1; set < 16; ++set) {
    Ints reduced;
    for (std::int64_t axis = 0; axis < 4; ++axis) {
      if ((set >> axis & 1U) != 0) reduced.push_back(axis);
    }
    std::map<std::int64_t, std::vector<double>> groups;
    for (std::int64_t i = 0; i < cube.elements(); ++i) {
      std::int64_t key = 0;
      std::int64_t left = i;
      for (std::size_t axis = 4; axis-- > 0; left /= shape[axis])
        key = key * 32 + ((set >> axis & 1U) != 0 ? 0 : left % shape[axis]);
      groups[key].push_back(cube.data<double>()[i]);
    }
    struct Expected {
      const char* name;
      double (*of)(const std::vector<double>&);
    };
    const Expected table[] = {
        {"ReduceSum", [](const auto& x) { return std::accumulate(x.begin(), x.end(), 0.0); }},
        {"ReduceMean",
         [](const auto& x) {
           return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
         }},
        {"ReduceMax", [](const auto& x) { return *std::ranges::max_element(x); }},
        {"ReduceMin", [](const auto& x) { return *std::ranges::min_element(x); }},
        {"ReduceL1",
         [](const auto& x) {
           return std::accumulate(x.begin(), x.end(), 0.0,
                                  [](double s, double v) { return s + std::abs(v); });
         }},
        {"ReduceL2",
         [](const auto& x) { return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0)); }},
        {"ReduceSumSquare",
         [](const auto& x) { return std::inner_product(x.begin(), x.end(), x.begin(), 0.0); }},
    };
    for (const auto& [name, of] : table) {
      const Tensor result = run_op(name, 11, {cube}, {{"axes", reduced}})[0];
      ASSERT_EQ(static_cast<std::size_t>(result.elements()), groups.size());
      std::vector<double> sorted(result.span<double>().begin(), result.span<double>().end());
      std::vector<double> expected;
      for (const auto& [key, values] : groups) expected.push_back(of(values));
      std::ranges::sort(sorted);
      std::ranges::sort(expected);
      for (std::size_t i = 0; i < sorted.size(); ++i)
        EXPECT_NEAR(sorted[i], expected[i], 1e-12 * (1.0 + std::abs(expected[i])))
            << name << " of set " << set;
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
