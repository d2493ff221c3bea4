#include "io/data.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "bnrun/error.h"
#include "io/output.h"
#include "support/expect_error.h"

namespace bnrun::io {
namespace {

PortInfo port(DType dtype, std::vector<std::int64_t> dims) {  // -1: dynamic
  PortInfo info{"x", dtype, std::vector<DimInfo>{}, false};
  for (const auto extent : dims)
    info.dims->push_back(extent < 0 ? DimInfo{std::nullopt, "N"} : DimInfo{extent, ""});
  return info;
}

Tensor whole(const Table& table, const PortInfo& port) {
  return to_tensor(table, all_columns(table), port);
}

struct ShapeCase {
  std::vector<std::int64_t> dims;
  std::vector<std::int64_t> expected;  // empty: refused
};

TEST(TableToTensor, TakesTheTrailingDimensionsOfTheInput) {
  const Table table = parse_csv("1,2,3,4,5,6\n7,8,9,10,11,12\n", "t.csv");
  const std::vector<ShapeCase> cases = {
      {{-1, 6}, {2, 6}},
      {{2, 6}, {2, 6}},
      {{-1, -1}, {2, 6}},
      {{-1, 2, 3}, {2, 2, 3}},
      {{-1, -1, 3}, {2, 2, 3}},
      {{-1, 1, 2, 3}, {2, 1, 2, 3}},
      {{-1, 5}, {}},
      {{1, 6}, {}},
      {{-1, -1, -1}, {}},
      {{-1}, {}},
      {{-1, -1, 4}, {}},
  };
  for (const auto& [dims, expected] : cases) {
    SCOPED_TRACE(::testing::PrintToString(dims));
    if (expected.empty()) {
      testing::expect_error(ErrorCode::invalid_input, [&] { whole(table, port(DType::float32, dims)); });
    } else {
      const Tensor tensor = whole(table, port(DType::float32, dims));
      EXPECT_EQ(tensor.shape(), Shape(expected));
      EXPECT_EQ(tensor.data<float>()[7], 8);
    }
  }
}

TEST(TableToTensor, OneColumnFeedsAVector) {
  EXPECT_EQ(whole(parse_csv("1\n2\n", "t"), port(DType::float64, {-1})).shape(), Shape({2}));
}

TEST(TableToTensor, IntegersMustBeIntegers) {
  const Table table = parse_csv("1,2\n3,4.5\n", "t.csv");
  try {
    whole(table, port(DType::int64, {-1, 2}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "t.csv: line 2, column 2 (column_2): 4.5 does not fit input 'x' (int64[N,2])");
  }
  testing::expect_error(ErrorCode::invalid_input, [&] {
    whole(parse_csv("256\n", "t"), port(DType::uint8, {-1, 1}));
  });
  testing::expect_error(ErrorCode::invalid_input, [&] {
    whole(parse_csv("nan\n", "t"), port(DType::int32, {-1, 1}));
  });
  EXPECT_EQ(whole(parse_csv("255\n", "t"), port(DType::uint8, {-1, 1})).data<std::uint8_t>()[0], 255);
}

TEST(TableToTensor, TextFeedsTextInputs) {
  const Tensor tensor = whole(parse_csv("a,b\n1,x\n", "t"), port(DType::string, {-1, 2}));
  EXPECT_EQ(tensor.data<std::string>()[1], "x");
}

TEST(TableToTensor, FeaturesAreFoundByName) {
  const Table table = parse_csv("b,label,a\n1,x,2\n3,y,4\n", "t.csv");
  const std::vector<std::string> features = {"a", "b"};
  const Tensor tensor =
      to_tensor(table, feature_columns(table, features).value(), port(DType::float32, {-1, 2}));
  EXPECT_TRUE(identical(tensor, Tensor({2, 2}, std::vector<float>{2, 1, 4, 3})));
  const std::vector<std::string> others = {"a", "c"};
  EXPECT_EQ(feature_columns(table, others), std::nullopt);
  EXPECT_EQ(feature_columns(table, {}), std::nullopt);
}

TEST(ArrayToTensor, TypedArraysMustFitExactly) {
  const Tensor doubles({1, 2}, std::vector<double>{1, 2});
  testing::expect_error(ErrorCode::invalid_input, [&] {
    to_tensor(doubles, false, "x.npy", port(DType::float32, {-1, 2}));
  });
  testing::expect_error(ErrorCode::invalid_input, [&] {
    to_tensor(doubles, false, "x.npy", port(DType::float64, {-1, 1, 2}));
  });
  EXPECT_TRUE(identical(to_tensor(doubles, false, "x.npy", port(DType::float64, {-1, 2})), doubles));
}

TEST(ArrayToTensor, ImagesBecomeRows) {
  const Tensor images({2, 2, 2}, std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5, 6, 255});
  const Tensor rows = to_tensor(images, true, "images", port(DType::float32, {-1, 4}));
  EXPECT_EQ(rows.shape(), Shape({2, 4}));
  EXPECT_EQ(rows.data<float>()[7], 255);
  EXPECT_EQ(to_tensor(images, true, "images", port(DType::float32, {-1, 1, 2, 2})).shape(),
            Shape({2, 1, 2, 2}));
}

std::string text(std::span<const NamedTensor> outputs, Format format) {
  std::ostringstream out;
  write_outputs(out, outputs, format);
  return out.str();
}

TEST(Outputs, CsvStandsSideBySide) {
  const std::vector<NamedTensor> outputs = {
      {"y", Tensor({2, 2}, std::vector<float>{0.1F, -0.0F, 1e20F, NAN})},
      {"label", Tensor({2}, std::vector<std::string>{"a,\"b\"", "c"})},
      {"ok", Tensor({2, 1}, std::vector<std::uint8_t>{1, 255})}};
  EXPECT_EQ(text(outputs, Format::csv), "y_0,y_1,label,ok\n0.1,-0,\"a,\"\"b\"\"\",1\n1e+20,nan,c,255\n");
}

TEST(Outputs, CsvNeedsEqualRows) {
  const std::vector<NamedTensor> outputs = {{"y", Tensor({2}, std::vector<float>{1, 2})},
                                            {"z", Tensor({1}, std::vector<float>{1})}};
  testing::expect_error(ErrorCode::invalid_input, [&] { text(outputs, Format::csv); });
  testing::expect_error(ErrorCode::invalid_input, [&] { text(outputs, Format::npy); });
}

TEST(Outputs, JsonNests) {
  const std::vector<NamedTensor> outputs = {
      {"a\"b", Tensor({2, 1, 2}, std::vector<float>{0.1F, 2, INFINITY, 4})},
      {"s", Tensor(Shape{}, std::vector<double>{0.5})},
      {"e", Tensor(DType::float32, {2, 0})},
      {"t", Tensor({1}, std::vector<std::string>{"q\n"})},
      {"u", Tensor(DType::boolean, {1})}};
  EXPECT_EQ(text(outputs, Format::json),
            "{\"a\\\"b\":[[[0.1,2]],[[null,4]]],\"s\":0.5,\"e\":[[],[]],\"t\":[\"q\\n\"],\"u\":[false]}\n");
}

TEST(Outputs, FormatFollowsTheName) {
  EXPECT_EQ(format_of("a/b.npz"), Format::npz);
  testing::expect_error(ErrorCode::invalid_input, [&] { format_of("a.txt"); });
}

}  // namespace
}  // namespace bnrun::io
