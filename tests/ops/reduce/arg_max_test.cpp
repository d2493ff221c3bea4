// ArgMax, ArgMin.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace bnrun::testing {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(ArgMax, EveryVersionAndTie) {
  const Tensor X({2, 3}, std::vector<float>{2, 7, 7, 5, 1, 1});
  using Indices = std::vector<std::int64_t>;
  expect_close(run_op("ArgMax", 1, {X})[0], Tensor({1, 3}, Indices{1, 0, 0}));
  expect_close(run_op("ArgMax", 11, {X}, {{"axis", -1}, {"keepdims", 0}})[0], Tensor({2}, Indices{1, 0}));
  expect_close(run_op("ArgMax", 12, {X}, {{"axis", 1}, {"select_last_index", 1}})[0],
               Tensor({2, 1}, Indices{2, 0}));
  expect_close(run_op("ArgMin", 13, {X}, {{"axis", 1}})[0], Tensor({2, 1}, Indices{0, 1}));
  expect_close(run_op("ArgMin", 13, {X}, {{"axis", 1}, {"select_last_index", 1}})[0],
               Tensor({2, 1}, Indices{0, 2}));
  expect_close(run_op("ArgMax", 13, {convert(X, DType::uint8)}, {{"axis", 1}})[0],
               Tensor({2, 1}, Indices{1, 0}));
  EXPECT_EQ(run_op_error("ArgMax", 11, {X}, {{"select_last_index", 1}}), ErrorCode::unsupported);
  EXPECT_EQ(run_op_error("ArgMax", 13, {Tensor(DType::float32, {0, 2})}), ErrorCode::invalid_model);
}

TEST(ArgMax, NaNIsTheMostExtreme) {
  const Tensor X({1, 4}, std::vector<float>{1, kNaN, kInf, kNaN});
  for (const char* name : {"ArgMax", "ArgMin"}) {
    EXPECT_EQ(run_op(name, 13, {X}, {{"axis", 1}})[0].data<std::int64_t>()[0], 1);
    EXPECT_EQ(run_op(name, 13, {X}, {{"axis", 1}, {"select_last_index", 1}})[0].data<std::int64_t>()[0], 3);
  }
}

}  // namespace
}  // namespace bnrun::testing
