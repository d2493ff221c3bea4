#include "io/csv.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <ostream>
#include <utility>

#include "bnrun/error.h"
#include "io/file.h"
#include "support/expect_error.h"

namespace bnrun::io {
namespace {

using Cells = std::vector<std::string>;
using Numbers = std::vector<double>;

Numbers numbers(const Table& table, std::size_t column) {
  const auto span = table.numbers(column);
  return {span.begin(), span.end()};
}

/// The message of the invalid_input that `action` throws.
template <class F>
std::string refusal(F&& action) {
  return testing::expect_error(ErrorCode::invalid_input, action);
}

std::string zipped(const std::string& text) {
  z_stream stream{};
  constexpr int kGzip = 15 + 16;
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
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

TEST(Csv, TinyNumbersAreZeroAndHugeOnesAreNone) {
  const Table table = parse_csv("x,y\n1e-400,1e400\n-1e-400,2\n", "t.csv");
  EXPECT_EQ(numbers(table, 0), (Numbers{0, 0}));
  EXPECT_FALSE(table.numeric(1));
  EXPECT_EQ(refusal([&] { table.numbers(1); }),
            "t.csv: line 2, column 2 (y): '1e400' is too large for a number, which ends at 1.8e308");
}

TEST(Csv, TrueAndFalseYesAndNoAreBooleanInAnyCase) {
  const Table table = parse_csv("a,b,c,d\ntrue,YES,true,true\nFalse,no,no,1\n,NA,true,false\n", "t.csv");
  EXPECT_TRUE(table.boolean(0));
  EXPECT_TRUE(table.boolean(1));
  EXPECT_FALSE(table.boolean(2)) << "true with no";
  EXPECT_FALSE(table.boolean(3)) << "true with 1";
  EXPECT_EQ(table.numbers(0)[0], 1);
  EXPECT_EQ(table.numbers(1)[1], 0);
  EXPECT_TRUE(std::isnan(table.numbers(1)[2]));
}

TEST(Csv, LinesEndInAnyOfThreeWays) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const Table table = parse_csv("a,b" + end + end + "1,\"x\ny\"" + end + "2,z" + end, "t.csv");
    EXPECT_EQ(table.text(1), (Cells{"x\ny", "z"}));
    EXPECT_EQ(table.line(1), 5U);
  }
}

TEST(Csv, BlanksAroundSeparatorsAreNoPartOfACellUnlessQuoted) {
  const Table table = parse_csv(" a , \" b \" ,c\t\n 1 ,\tx y , \" z\"\n", "t.csv");
  EXPECT_EQ(table.names(), (Cells{"a", " b ", "c"}));
  EXPECT_EQ(table.cells(0), (Cells{"1", "x y", " z"}));
}

TEST(Csv, CellsOfSeveralColumnsComeInThatOrder) {
  const Table table = parse_csv("a,b,c\n1,x,y\n2,z,w\n", "t.csv");
  const std::vector<std::size_t> columns{2, 0, 2};
  EXPECT_EQ(table.text(columns), (std::vector<Cells>{{"y", "w"}, {"1", "2"}, {"y", "w"}}));
}

// -------- missing values

TEST(Missing, EverySpellingInEveryPosition) {
  const Cells spellings = {"",     " ",    "NA",   "N/A", "n/a", "#N/A", "<NA>",  "NULL",
                           "null", "None", "\"\"", "?",   "-",   ".",    "\"NA\""};
  for (const std::string& spelling : spellings) {
    for (std::size_t position = 0; position < 4; ++position) {  // row of the table
      SCOPED_TRACE(spelling + " in row " + std::to_string(position + 1));
      std::string text = "a,b\n";
      for (std::size_t row = 0; row < 4; ++row)
        text += (row == position ? spelling : std::to_string(row)) + "," + std::to_string(row) + ".5\n";
      const Table table = parse_csv(text, "t.csv");
      ASSERT_TRUE(table.numeric(0));
      EXPECT_EQ(table.first_missing(0), position);
      EXPECT_EQ(table.first_missing(1), std::nullopt);
      for (std::size_t row = 0; row < 4; ++row)
        EXPECT_EQ(std::isnan(table.numbers(0)[row]), row == position) << row;
    }
  }
}

TEST(Missing, NanAsANumberIsANumber) {
  const Table table = parse_csv("a\n1\nnan\n", "t.csv");
  EXPECT_EQ(table.first_missing(0), std::nullopt);
  EXPECT_TRUE(std::isnan(table.numbers(0)[1]));
}

TEST(Missing, OtherSpellingsReplaceTheUsualOnes) {
  const Table table = parse_csv("a,b\n1,NA\n-999,x\n,y\n", "t.csv", {.missing = Cells{"-999"}});
  EXPECT_TRUE(table.numeric(0));
  EXPECT_EQ(table.first_missing(0), 1U);
  EXPECT_TRUE(std::isnan(table.numbers(0)[2])) << "a blank cell is always missing";
  EXPECT_FALSE(table.is_missing("NA"));
}

// -------- headers

struct HeaderCase {
  const char* text;
  std::optional<bool> header;  ///< nullopt: an error that names the option
};

void PrintTo(const HeaderCase& tested, std::ostream* out) {
  *out << ::testing::PrintToString(tested.text);
}

class Headers : public ::testing::TestWithParam<HeaderCase> {};

TEST_P(Headers, AreToldFromWhatIsBelowOrAskedFor) {
  const auto& [text, header] = GetParam();
  SCOPED_TRACE(text);
  if (header) {
    EXPECT_EQ(parse_csv(text, "t.csv").has_header(), *header);
  } else {
    EXPECT_TRUE(refusal([&] { parse_csv(text, "t.csv"); }).ends_with("say --header yes or --header no"));
  }
  const Table with = parse_csv(text, "t.csv", {.header = HeaderRule::yes});
  const Table without = parse_csv(text, "t.csv", {.header = HeaderRule::no});
  EXPECT_TRUE(with.has_header());
  EXPECT_EQ(with.rows() + 1, without.rows());
  EXPECT_EQ(without.names()[0], "column_1");
}

INSTANTIATE_TEST_SUITE_P(
    FirstLines, Headers,
    ::testing::Values(
        // words above numbers
        HeaderCase{"a,b\n1,2\n", true}, HeaderCase{"a,b\n1,x\n2,y\n", true},
        HeaderCase{"\"a\",\"b\"\n1,2\n", true}, HeaderCase{"a,\n1,2\n", true},
        HeaderCase{",a\n0,2\n1,3\n", true}, HeaderCase{"a,b\n1,\n,2\n", true},
        HeaderCase{"a,b\ntrue,x\nfalse,y\n", true}, HeaderCase{"id,2019,2020\n1,0.5,0.25\n", true},
        HeaderCase{"id,0,1,2\n1,5,6,7\n", true}, HeaderCase{"x1,x2\n-1,+2\n", true},
        HeaderCase{"\xC3\xA9,b\n1,2\n", true}, HeaderCase{"1a,2a\n1,2\n", true}, HeaderCase{"a\n1\n", true},
        HeaderCase{"1e400,b\n1,2\n", std::nullopt}, HeaderCase{"1e400,1\n1,2\n", false},
        // numbers above numbers
        HeaderCase{"1,2\n3,4\n", false}, HeaderCase{"5.1,3.5\n4.9,3.0\n", false},
        HeaderCase{"0\n1\n0\n", false}, HeaderCase{"1,2,3\n4,5,6\n", false},
        HeaderCase{"inf,1\n2,3\n", false}, HeaderCase{"nan,1\n2,3\n", false},
        HeaderCase{"2019,2020\n2021,2022\n", false},
        // missing above numbers: a row that must not get lost
        HeaderCase{",2\n3,4\n", false}, HeaderCase{"NA,2\n3,4\n", false}, HeaderCase{"?,2\n3,4\n", false},
        HeaderCase{"1,2,NA\n3,4,5\n", false}, HeaderCase{"5.1,,x\n4.9,3.0,x\n", false},
        HeaderCase{",5.5\n,2.5\n", false},
        // numbers that name columns
        HeaderCase{"0,1,2\n5.1,3.5,1.4\n", true}, HeaderCase{",0,1,2\n0,5.1,3.5,1.4\n1,4.9,3.0,1.4\n", true},
        HeaderCase{",0,1\n0,5,3\n1,4,3\n", true}, HeaderCase{"\"2019\",\"2020\"\n7,8\n", true},
        HeaderCase{"0,1,2\n3,4,5\n", std::nullopt}, HeaderCase{"0,1\n0.5,2.5\n", std::nullopt},
        HeaderCase{"2019,2020\n1.5,2.5\n", std::nullopt},
        // words above words
        HeaderCase{"name,city\nAnna,Rome\nBert,Oslo\n", true}, HeaderCase{"species\nsetosa\nsetosa\n", true},
        HeaderCase{"setosa,x\nsetosa,y\n", false}, HeaderCase{"5.1,3.5,setosa\n4.9,3.0,virginica\n", false},
        HeaderCase{"true,1.5\nfalse,2.5\n", false}, HeaderCase{"2020-01-31,x\n2020-02-01,y\n", false},
        HeaderCase{"F,23\nM,31\nF,40\n", false}, HeaderCase{"Anna,23\nBert,31\n", std::nullopt},
        HeaderCase{"Anna,\nBert,1.5\n", std::nullopt}, HeaderCase{"x,x\ny,z\n", std::nullopt},
        // words and values above numbers
        HeaderCase{"abc,5.1\n1,2.5\n", std::nullopt}, HeaderCase{"unknown,3,7\n1,2,3\n", std::nullopt}));

TEST(Headers, NamesThatAreExpectedDecide) {
  EXPECT_TRUE(parse_csv("Anna,23\nBert,31\n", "t.csv", {.expected = {"Anna"}}).has_header());
  EXPECT_TRUE(parse_csv("0,1,2\n3,4,5\n", "t.csv", {.expected = {"0", "1", "2"}}).has_header());
  EXPECT_FALSE(parse_csv("1,2\n3,4\n", "t.csv", {.expected = {"a"}}).has_header());
  EXPECT_THROW(parse_csv("7\n3\n", "t.csv", {.expected = {"7"}}), Error);
}

TEST(Headers, TheTableSaysWhyItDecided) {
  EXPECT_EQ(parse_csv("a;b\n1;2,5\n", "t.csv").reading(),
            "the first line is a header: 'a' is unlike what is below it; columns are separated by ';', "
            "decimals by ','");
  EXPECT_EQ(parse_csv("1\t2\n", "t.csv").reading(),
            "the first line is data: it holds numbers as the lines below do; columns are separated by tab, "
            "decimals "
            "by '.'");
}

// -------- separators, quotes, decimals

TEST(Separators, EveryOneWithEveryQuotingAndDecimal) {
  struct Separator {
    char character;
    bool told;  ///< without an option
  };
  for (const auto& [separator, told] :
       {Separator{',', true}, {';', true}, {'\t', true}, {'|', true}, {' ', false}, {':', false}}) {
    for (const std::string quote : {"", "\""}) {
      for (const char decimal : {'.', ','}) {
        if (decimal == separator && quote.empty()) continue;
        for (const std::string end : {"\n", "\r\n", "\r"}) {
          SCOPED_TRACE(std::string("'") + separator + "' '" + decimal + "' " + quote);
          const auto cell = [&](std::string text) {
            std::replace(text.begin(), text.end(), '.', decimal);
            return quote + text + quote;
          };
          const std::string text = cell("a") + separator + cell("b") + end + cell("1.5") + separator +
                                   cell("-2.25") + end + cell("3") + separator + cell("4.5") + end;
          TableOptions options;
          if (!told) options.separator = separator;
          const Table table = parse_csv(text, "t.csv", options);
          EXPECT_EQ(table.names(), (Cells{"a", "b"}));
          EXPECT_EQ(numbers(table, 0), (Numbers{1.5, 3}));
          EXPECT_EQ(numbers(table, 1), (Numbers{-2.25, 4.5}));
          options.separator = separator;
          options.decimal = decimal;
          EXPECT_EQ(numbers(parse_csv(text, "t.csv", options), 1), (Numbers{-2.25, 4.5}));
        }
      }
    }
  }
}

TEST(Separators, SpacesInARowSeparateOnce) {
  const Table table = parse_csv(" a  b \n1   2\n 3 4  \n", "t.csv", {.separator = ' '});
  EXPECT_EQ(table.names(), (Cells{"a", "b"}));
  EXPECT_EQ(numbers(table, 1), (Numbers{2, 4}));
}

TEST(Separators, TheOneThatGivesEqualRowsIsTaken) {
  EXPECT_EQ(parse_csv("a,x,y;b\n1;2,5\n3;4,5\n", "t.csv").columns(), 2U);
  EXPECT_EQ(parse_csv("a|b,c\n1|2,3\n4,5\n", "t.csv").names(), (Cells{"a|b", "c"}));
  EXPECT_EQ(parse_csv("\"a;b\",c\n1,2\n", "t.csv").names(), (Cells{"a;b", "c"}));
  EXPECT_EQ(parse_csv("\t\t\n1\t2\t3\n", "t.csv").columns(), 3U);
}

TEST(Separators, AnErrorNamesTheOptionWhereTwoReadingsMakeSense) {
  EXPECT_EQ(refusal([] { parse_csv("1,5;2,5\n3,5;4,5\n", "t.csv"); }),
            "t.csv: every row has 3 columns by ',' and 2 columns by ';': say which with --sep");
  EXPECT_EQ(numbers(parse_csv("1,5;2,5\n3,5;4,5\n", "t.csv", {.separator = ';'}), 1), (Numbers{2.5, 4.5}));
  EXPECT_EQ(numbers(parse_csv("1,5;2,5\n3,5;4,5\n", "t.csv", {.decimal = ','}), 1), (Numbers{2.5, 4.5}));
  const std::string both =
      "t.csv: line 2, column 1 (a): '1,5' may be a number with a decimal comma or none, and "
      "column 2 (b) has decimal points: say --decimal , or --decimal .";
  EXPECT_EQ(refusal([] { parse_csv("a;b\n1,5;2.5\n", "t.csv"); }), both);
  EXPECT_EQ(
      refusal([] { parse_csv("a\tb\n1,234\t2\n", "t.csv"); }),
      "t.csv: line 2, column 1 (a): '1,234' may be a number with a decimal comma or none: say --decimal , or "
      "--decimal .");
  EXPECT_FALSE(parse_csv("a\tb\n1,234\t2\n", "t.csv", {.decimal = '.'}).numeric(0));
  EXPECT_EQ(parse_csv("a\tb\n1,234\t2\n", "t.csv", {.decimal = ','}).numbers(0)[0], 1.234);
  EXPECT_EQ(parse_csv("a;b\n1,5;x\n2;y,z\n", "t.csv").decimal(), ',');
}

// -------- files that are no tables in text

TEST(Foreign, FormatsAreNamed) {
  const std::pair<std::string, const char*> files[] = {
      {"PAR1\x15\x04", "Parquet"},
      {"[{\"a\": 1}]\n", "JSON"},
      {"{\"a\": 1}\n{\"a\": 2}\n", "JSON"},
      {std::string("\x80\x04\x95\0\0.", 6), "pickle"},
      {std::string("PK\3\4 [Content_Types].xml xl/workbook.xml"), ".xlsx"},
      {std::string("PK\3\4 mimetypeapplication/vnd.oasis.opendocument.spreadsheet"), ".ods"},
      {"PK\3\4 other", "zip archive"},
      {"\xD0\xCF\x11\xE0", ".xls"},
      {"\x93NUMPY\1", "NumPy"},
      {"<!DOCTYPE html><p>", "HTML"},
      {"ARROW1", "Arrow"},
      {"\xFF\xFE"
       "a",
       "UTF-16"},
      {std::string("1,2\0", 4), "zero bytes"}};
  for (const auto& [bytes, what] : files) {
    const std::string message = refusal([&] { parse_csv(bytes, "t"); });
    EXPECT_NE(message.find(what), std::string::npos) << message;
  }
  EXPECT_EQ(parse_csv("[a],{b}\n1,2\n", "t").names(), (Cells{"[a]", "{b}"}));
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
    ::testing::Values(
        BadTable{"", "t.csv: the table has no rows"}, BadTable{"a,b\n", "t.csv: the table has no rows"},
        BadTable{"a,b\n1,2\n\n3\n",
                 "t.csv: line 4 has 1 columns, expected 2 (separated by ','; --sep names another separator)"},
        BadTable{"a,b\n1,2,3\n",
                 "t.csv: line 2 has 3 columns, expected 2 (separated by ','; --sep names another separator)"},
        BadTable{"a,b\n1,2\n3,x y\n", "t.csv: line 3, column 2 (b): 'x y' is not a number"},
        BadTable{"a,b\n1,0x10\n", "t.csv: line 2, column 2 (b): '0x10' is not a number"},
        BadTable{"a,b\n1,\"2\n", "t.csv: line 2: a quoted cell has no closing quote"},
        BadTable{"a,b\n1,\"2\"3\n", "t.csv: line 2: text follows a closing quote"},
        BadTable{"a,c\n1,2\n", "t.csv: there is no column 'b' among: a, c"},
        BadTable{"b,b\n1,2\n", "t.csv: two columns are named 'b'"}));

TEST(Csv, ReadsGzip) {
  const Table table = read_csv(BNRUN_SOURCE_DIR "/models/data/digits.csv.gz");
  EXPECT_EQ(table.rows(), 1797U);
  EXPECT_EQ(table.columns(), 65U);
  EXPECT_EQ(table.numbers(table.find("digit"))[0], 0);
  EXPECT_EQ(table.numbers(2)[0], 5);
}

TEST(Csv, GzipMayBePaddedWithZeros) {
  const std::string padded = zipped("a,b\n1,2\n") + zipped("3,4\n") + std::string(1000, '\0');
  EXPECT_EQ(gunzip(padded, "t"), "a,b\n1,2\n3,4\n");
  EXPECT_THROW(gunzip(zipped("a") + std::string(10, '\0') + "x", "t"), Error);
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
