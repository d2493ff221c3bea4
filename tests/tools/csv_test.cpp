#include "io/csv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bnrun/error.h"
#include "support/expect_error.h"

namespace bnrun::io {
namespace {

using Cells = std::vector<std::string>;
using Numbers = std::vector<double>;

Numbers numbers(const Table& table, std::size_t column) {
  const auto span = table.numbers(column);
  return {span.begin(), span.end()};
}

TEST(Csv, HeaderIsAFirstLineThatIsNotAllNumbers) {
  const Table table = parse_csv("a,b\n1,2\n3,4\n", "t.csv");
  EXPECT_TRUE(table.has_header());
  EXPECT_EQ(table.names(), (Cells{"a", "b"}));
  EXPECT_EQ(numbers(table, 1), (Numbers{2, 4}));
}

TEST(Csv, WithoutHeaderColumnsAreNumberedFromOne) {
  const Table table = parse_csv("\n1,2\n3,4", "t.csv");
  EXPECT_FALSE(table.has_header());
  EXPECT_EQ(table.names(), (Cells{"column_1", "column_2"}));
  EXPECT_EQ(numbers(table, 0), (Numbers{1, 3}));
}

TEST(Csv, NumbersInEveryNotation) {
  const Table table = parse_csv("x\n 1.5\n+2\n-3e-2\t\r\ninf\n-inf\n\"4\"\n", "t.csv");
  EXPECT_EQ(numbers(table, 0), (Numbers{1.5, 2, -0.03, INFINITY, -INFINITY, 4}));
  EXPECT_TRUE(std::isnan(parse_csv("x\nnan\n", "t.csv").numbers(0)[0]));
}

TEST(Csv, TextKeepsTheCellsOfEveryColumn) {
  const Table table = parse_csv("\xEF\xBB\xBFid,label\r\n007,\"a, \"\"b\"\"\nc\"\r\n08,d\r\n", "t.csv");
  EXPECT_EQ(table.names(), (Cells{"id", "label"}));
  EXPECT_TRUE(table.numeric(0));
  EXPECT_FALSE(table.numeric(1));
  EXPECT_EQ(table.text(0), (Cells{"007", "08"}));
  EXPECT_EQ(table.text(1), (Cells{"a, \"b\"\nc", "d"}));
  EXPECT_EQ(numbers(table, 0), (Numbers{7, 8}));
}

TEST(Csv, EmptyCellsAreTextNotNumbers) {
  const Table table = parse_csv("a,b\n1,\n,2\n", "t.csv");
  EXPECT_EQ(table.text(0), (Cells{"1", ""}));
  EXPECT_FALSE(table.numeric(0));
  EXPECT_FALSE(table.numeric(1));
}

struct BadTable {
  const char* text;
  const char* message;
};

class BadCsv : public ::testing::TestWithParam<BadTable> {};

TEST_P(BadCsv, SaysWhere) {
  try {
    const Table table = parse_csv(GetParam().text, "t.csv");
    for (std::size_t column = 0; column < table.columns(); ++column) table.numbers(column);
    table.find("b");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_input);
    EXPECT_STREQ(error.what(), GetParam().message);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Tables, BadCsv,
    ::testing::Values(BadTable{"", "t.csv: the table has no rows"},
                      BadTable{"a,b\n", "t.csv: the table has no rows"},
                      BadTable{"a,b\n1,2\n\n3\n", "t.csv: line 4 has 1 columns, expected 2"},
                      BadTable{"a,b\n1,2,3\n", "t.csv: line 2 has 3 columns, expected 2"},
                      BadTable{"a,b\n1,2\n3,x y\n", "t.csv: line 3, column 2 (b): 'x y' is not a number"},
                      BadTable{"a,b\n1,0x10\n", "t.csv: line 2, column 2 (b): '0x10' is not a number"},
                      BadTable{"a,b\n1,\"2\n", "t.csv: line 2: a quoted cell has no closing quote"},
                      BadTable{"a,b\n1,\"2\"3\n", "t.csv: line 2: text follows a closing quote"},
                      BadTable{"a,c\n1,2\n", "t.csv: there is no column 'b' among: a, c"},
                      BadTable{"b,b\n1,2\n", "t.csv: two columns are named 'b'"}));

TEST(Csv, ZeroBytesAreNoTable) {
  testing::expect_error(ErrorCode::invalid_input, [&] { parse_csv(std::string("1,2\0", 4), "t.csv"); });
}

TEST(Csv, ReadsGzip) {
  const Table table = read_csv(BNRUN_SOURCE_DIR "/models/data/digits.csv.gz");
  EXPECT_EQ(table.rows(), 1797U);
  EXPECT_EQ(table.columns(), 65U);
  EXPECT_EQ(table.numbers(table.find("digit"))[0], 0);
  EXPECT_EQ(table.numbers(2)[0], 5);
}

TEST(Csv, ReadsTextLabels) {
  const Table table = read_csv(BNRUN_SOURCE_DIR "/models/data/iris.csv");
  EXPECT_EQ(table.rows(), 150U);
  EXPECT_EQ(table.text(table.find("species")).back(), "virginica");
}

TEST(Csv, MissingFileIsAnIoError) {
  try {
    read_csv("/nonexistent/t.csv");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
    EXPECT_STREQ(error.what(), "/nonexistent/t.csv: No such file or directory");
  }
}

}  // namespace
}  // namespace bnrun::io
