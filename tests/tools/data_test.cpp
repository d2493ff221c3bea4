#include "io/data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "bnrun/error.h"
#include "io/names.h"
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

/// The message of the invalid_input that `action` throws.
template <class F>
std::string refusal(F&& action) {
  return testing::expect_error(ErrorCode::invalid_input, action);
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

TEST(TableToTensor, AMissingValueNeedsARule) {
  const Table table = parse_csv("a,b\n1,2\n3,\n", "t.csv");
  EXPECT_EQ(
      refusal([&] {
        whole(table, port(DType::float32, {-1, 2}));
      }),
      "t.csv: line 3, column 2 (b): '' is a missing value, and the model has no rule for it (bntrain fit "
      "--missing makes one); nan hands it a NaN");
  const Tensor filled = to_tensor(table, all_columns(table), port(DType::float32, {-1, 2}), true);
  EXPECT_TRUE(std::isnan(filled.data<float>()[3]));
  EXPECT_TRUE(std::isnan(whole(parse_csv("nan\n1\n", "t"), port(DType::float32, {-1, 1})).data<float>()[0]));
}

TEST(TableToTensor, BooleansAreOneAndZero) {
  const Tensor tensor = whole(parse_csv("a,b\ntrue,No\nFALSE,yes\n", "t"), port(DType::float32, {-1, 2}));
  EXPECT_TRUE(identical(tensor, Tensor({2, 2}, std::vector<float>{1, 0, 0, 1})));
}

// -------- columns by name

const std::vector<std::string> kNames = {"width", "height", "weight"};

TableRules rules_of(std::vector<std::string> names) {
  TableRules rules;
  rules.columns["x"] = names;
  rules.order = std::move(names);
  rules.reading.expected = rules.order;
  return rules;
}

/// What the model whose columns are `kNames` gets of the first row.
std::vector<float> first_row(const std::string& text, bool by_position = false) {
  TableRules rules = rules_of(kNames);
  rules.by_position = by_position;
  const std::vector<PortInfo> ports = {port(DType::float32, {-1, 3})};
  const auto inputs = table_inputs(parse_csv(text, "t.csv", rules.reading), ports, rules);
  const auto row = inputs.at(0).tensor.span<float>().first(3);
  return {row.begin(), row.end()};
}

TEST(ColumnsByName, InEveryOrderWithEveryNeighbour) {
  const std::vector<float> expected = {1, 2, 3};
  std::vector<std::pair<std::string, std::string>> columns = {
      {"width", "1"}, {"height", "2"}, {"weight", "3"}, {"Width", "7"}, {"label", "x"}, {"", "9"}};
  std::sort(columns.begin(), columns.end());
  do {
    for (const std::string separator : {",", ", ", " ,\t"}) {
      std::string names;
      std::string cells;
      for (const auto& [name, cell] : columns) {
        names += (names.empty() && cells.empty() ? "" : separator) + name;
        cells += (cells.empty() ? "" : separator) + cell;
      }
      EXPECT_EQ(first_row(names + "\n" + cells + "\n"), expected) << names;
    }
  } while (std::next_permutation(columns.begin(), columns.end()));
}

struct NameCase {
  const char* header;
  const char* message;
};

TEST(ColumnsByName, AnErrorListsTheMissingOnesAndTheNearest) {
  const std::string start = "t.csv: of the 3 columns that the model wants it lacks ";
  const std::string end = "; --by-position takes its columns in order";
  const NameCase cases[] = {
      {"weight,height,Width", "'width' (nearest: 'Width')"},
      {"wdth,height,weight", "'width' (nearest: 'wdth')"},
      {"height,weight,wid", "'width' (nearest: 'wid')"},
      {"\" width\",height,weight", "'width' (nearest: ' width')"},
      {"WIDTH,HEIGHT,weight", "'width' (nearest: 'WIDTH'), 'height' (nearest: 'HEIGHT')"},
      {"a,b,c", "'width', 'height', 'weight'"},
      {"\xC5\xB5"
       "idth,height,weight",
       "'width' (nearest: '\xC5\xB5"
       "idth')"},
  };
  for (const auto& [header, message] : cases) {
    const std::string text = std::string(header) + "\n1,2,3\n";
    EXPECT_EQ(refusal([&] { first_row(text); }), start + message + end);
    EXPECT_EQ(first_row(text, true), (std::vector<float>{1, 2, 3}));
  }
  EXPECT_EQ(refusal([] { first_row("width,width,height,weight\n1,1,2,3\n"); }),
            "t.csv: two columns are named 'width'");
}

TEST(ColumnsByName, ATableWithoutHeaderGoesByPosition) {
  EXPECT_EQ(first_row("1.5,2,3\n4,5,6\n"), (std::vector<float>{1.5F, 2, 3}));
  EXPECT_EQ(refusal([] { first_row("1.5,2,3,4\n4,5,6,7\n"); }),
            "t.csv: 2 rows of 4 columns do not fit input 'x' (float32[N,3]); one column is too many: leave "
            "it out of the table, or set it apart by bnrun predict --id COLUMN");
  EXPECT_EQ(refusal([] { first_row("1.5,2,3,4,5\n4,5,6,7,8\n"); }),
            "t.csv: 2 rows of 5 columns do not fit input 'x' (float32[N,3]); 2 columns are too many: leave "
            "them out of the table");
  EXPECT_EQ(refusal([] { first_row("1.5,2\n4,5\n"); }),
            "t.csv: 2 rows of 2 columns do not fit input 'x' (float32[N,3])");
}

TEST(ColumnsByName, SeveralInputsOfOneColumnEachTakeTheirOwn) {
  std::vector<PortInfo> ports = {port(DType::float32, {-1, 1}), port(DType::string, {-1, 1})};
  ports[0].name = "age";
  ports[1].name = "city";
  const Table table = parse_csv("city,id,age\nRome,7,30\nOslo,8,40\n", "t.csv");
  const auto inputs = table_inputs(table, ports, {});
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].tensor.data<float>()[1], 40);
  EXPECT_EQ(inputs[1].tensor.data<std::string>()[1], "Oslo");
  EXPECT_THROW(table_inputs(parse_csv("City,age\nRome,30\n", "t.csv"), ports, {}), Error);
  const auto by_position = table_inputs(parse_csv("a,b\n1,x\n", "t.csv"), ports, {.by_position = true});
  EXPECT_EQ(by_position[1].tensor.data<std::string>()[0], "x");
}

TEST(ColumnsByName, MissingTextNeedsARuleWhereTheModelTellsOfItsTable) {
  std::vector<PortInfo> ports = {port(DType::string, {-1, 1})};
  const Table table = parse_csv("x,n\na,1\n NA,2\n", "t.csv");
  TableRules rules = rules_of({"x"});
  EXPECT_EQ(
      refusal([&] { table_inputs(table, ports, rules); }),
      "t.csv: line 3, column 1 (x): 'NA' is a missing value, and the model has no rule for it (bntrain fit "
      "--missing makes one; --na says what is missing)");
  rules.takes_missing = true;
  EXPECT_EQ(table_inputs(table, ports, rules)[0].tensor.data<std::string>()[1], "");
  const std::vector<std::size_t> other{1};
  EXPECT_EQ(table_inputs(table, ports, {}, other)[0].tensor.data<std::string>()[1], "NA");
}

TEST(ColumnsByName, ByPositionIsInTheOrderOfTheTableLearntFrom) {
  std::vector<PortInfo> ports = {port(DType::float32, {-1, 2}), port(DType::string, {-1, 1})};
  ports[1].name = "city";
  TableRules rules;
  rules.columns = {{"x", {"a", "b"}}, {"city", {"city"}}};
  rules.order = {"a", "city", "b"};
  const auto inputs = table_inputs(parse_csv("1.5,Rome,2\n3.5,Oslo,4\n", "t.csv"), ports, rules);
  EXPECT_TRUE(identical(inputs[0].tensor, Tensor({2, 2}, std::vector<float>{1.5F, 2, 3.5F, 4})));
  EXPECT_EQ(inputs[1].tensor.data<std::string>()[0], "Rome");
}

TEST(Globs, FitAsInAShell) {
  EXPECT_TRUE(fits_glob("pixel_12", "pixel_*"));
  EXPECT_TRUE(fits_glob("ab", "?b"));
  EXPECT_TRUE(fits_glob("", "*"));
  EXPECT_FALSE(fits_glob("Pixel", "p*"));
  EXPECT_FALSE(fits_glob("abc", "a?"));
}

struct NumberCase {
  const char* what;
  Tensor given;
  DType wanted;
  std::string refused;  ///< what the message ends in; empty: it is exact
};

TEST(ArrayToTensor, NumbersAreConvertedWhereTheyStayWhatTheyAre) {
  const auto doubles = [](std::vector<double> values) {
    return Tensor(Shape{static_cast<std::int64_t>(values.size())}, values);
  };
  const auto integers = [](std::vector<std::int64_t> values) {
    return Tensor(Shape{static_cast<std::int64_t>(values.size())}, values);
  };
  const std::string rounds = "; --round rounds";
  const std::vector<NumberCase> cases = {
      {"float32 holds small fractions, NaN and infinities", doubles({0.5, -3, NAN, INFINITY}), DType::float32,
       ""},
      {"not a tenth", doubles({1, 0.1}), DType::float32,
       ": 0.1 (element 1) is not exact in float32" + rounds},
      {"not 1e300", doubles({1e300}), DType::float32,
       ": 1e+300 (element 0) is not exact in float32" + rounds},
      {"integers up to 2^24", integers({1 << 24, -(1 << 24)}), DType::float32, ""},
      {"not 2^24 + 1", integers({(1 << 24) + 1}), DType::float32, " is not exact in float32" + rounds},
      {"half precision up to 2048", integers({2048}), DType::float16, ""},
      {"not 2049", integers({2049}), DType::float16, " is not exact in float16" + rounds},
      {"whole numbers as integers", doubles({3, -7}), DType::int64, ""},
      {"not fractions", doubles({3.25}), DType::int64, ": 3.25 (element 0) is not exact in int64" + rounds},
      {"no NaN", doubles({NAN}), DType::int64, ": nan (element 0) is not exact in int64"},
      {"no number beyond the type", integers({256}), DType::uint8, ": 256 (element 0) is not exact in uint8"},
      {"every integer of 64 bits", integers({std::numeric_limits<std::int64_t>::max()}), DType::uint64, ""},
      {"0 and 1 as booleans", integers({0, 1}), DType::boolean, ""},
      {"not 2", integers({2}), DType::boolean, ": 2 (element 0) is not exact in bool"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const PortInfo wanted = port(c.wanted, {-1});
    if (c.refused.empty()) {
      const Tensor taken = to_tensor(c.given, false, "x.npy", wanted);
      EXPECT_TRUE(identical(taken, convert(c.given, c.wanted)));
      continue;
    }
    const auto message = refusal([&] { to_tensor(c.given, false, "x.npy", wanted); });
    EXPECT_TRUE(message.ends_with(c.refused)) << message;
    const TableRules rounding{.round = true};
    if (c.refused.ends_with(rounds))
      EXPECT_EQ(to_tensor(c.given, false, "x.npy", wanted, rounding).dtype(), c.wanted);
    else
      refusal([&] { to_tensor(c.given, false, "x.npy", wanted, rounding); });
  }
}

struct ArrayShapeCase {
  Shape given;
  std::vector<std::int64_t> wanted;
  Shape expected;  ///< empty: refused
};

TEST(ArrayToTensor, RowsTakeTheShapeOfTheInput) {
  const std::vector<ArrayShapeCase> cases = {
      {{3}, {-1, 3}, {1, 3}},
      {{2, 3}, {-1, 3}, {2, 3}},
      {{2, 3}, {-1, 1, 3}, {2, 1, 3}},
      {{5, 28, 28}, {-1, 784}, {5, 784}},
      {{28, 28}, {-1, 784}, {1, 784}},
      {{784}, {-1, 1, 28, 28}, {1, 1, 28, 28}},
      {{3, 8, 8}, {1, 3, 8, 8}, {1, 3, 8, 8}},
      {{}, {-1, 1}, {1, 1}},
      {{6}, {-1, 3}, {}},
      {{4, 3}, {2, 3}, {}},
      {{3}, {}, {}},
  };
  for (const auto& [given, wanted, expected] : cases) {
    SCOPED_TRACE(to_string(given) + " for " + ::testing::PrintToString(wanted));
    const auto take = [&, given = given, wanted = wanted] {
      return to_tensor(Tensor(DType::float32, given), false, "x.npy", port(DType::float32, wanted));
    };
    if (expected.rank() == 0)
      refusal(take);
    else
      EXPECT_EQ(take().shape(), expected);
  }
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

TEST(Outputs, NanHasNoSignInCsv) {
  const std::vector<NamedTensor> outputs = {
      {"y", Tensor({2}, std::vector<float>{std::copysign(NAN, -1.0F), -INFINITY})},
      {"z", Tensor({2}, std::vector<double>{std::copysign(NAN, -1.0), -1.5})},
      {"h", convert(Tensor({2}, std::vector<float>{std::copysign(NAN, -1.0F), 1.0F}), DType::float16)}};
  EXPECT_EQ(text(outputs, Format::csv), "y,z,h\nnan,nan,nan\n-inf,-1.5,1\n");
  EXPECT_EQ(number_cell(std::copysign(NAN, -1.0)), "nan");
  EXPECT_EQ(number_cell(-0.1), "-0.1");
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
  EXPECT_EQ(format_of("a.txt"), std::nullopt);
}

}  // namespace
}  // namespace bnrun::io
