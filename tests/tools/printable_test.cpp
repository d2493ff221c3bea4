#include "common/printable.h"

#include <gtest/gtest.h>

#include <string>

#include "common/numbers.h"
#include "common/text_table.h"

namespace bnrun::cli {
namespace {

TEST(Printable, EscapesWhatATerminalObeysAndNothingElse) {
  struct Case {
    std::string text;
    std::string shown;
  };
  const Case cases[] = {
      {"", ""},
      {"dense_1/kernel:0 ~", "dense_1/kernel:0 ~"},
      {"gr\u00f6\u00dfe \u540d\u524d \U0001F600", "gr\u00f6\u00dfe \u540d\u524d \U0001F600"},
      {"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"},
      {"a\nb\tc\rd", "a\\nb\\tc\\rd"},
      {std::string("a\0b\x07\x7f", 5), "a\\x00b\\x07\\x7f"},
      {"a\u009b2Jb\u0085", "a\\u009b2Jb\\u0085"},
      {"\u202egnp.exe\u2066\u2028", "\\u202egnp.exe\\u2066\\u2028"},
      {"\x9b"
       "31m\xff",
       "\\x9b31m\\xff"},
      {"\xc0\x9b", "\\xc0\\x9b"},                    // overlong
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},           // half a surrogate pair
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  // beyond Unicode
      {"cut\xe5\x90", "cut\\xe5\\x90"},
  };
  for (const auto& [text, shown] : cases) {
    EXPECT_EQ(printable(text), shown);
    EXPECT_EQ(printable(printable(text)), shown);
  }
}

TEST(Printable, KeepsLineEndsWhereThereAreLines) {
  EXPECT_EQ(printable_lines("a\x1b\nb\n"), "a\\x1b\nb\n");
  EXPECT_EQ(printable_lines(""), "");
}

TEST(TextTable, ShowsControlCharactersInCells) {
  TextTable table("lr");
  table.add({"name\x1b[2J", "1"});
  table.add({"b\n", "22"});
  EXPECT_EQ(table.text(), "name\\x1b[2J   1\nb\\n          22\n");
}

TEST(Numbers, AreRefusedInAFewWords) {
  struct Case {
    CLI::Validator validator;
    std::string text;
    std::string message;  ///< empty: good
  };
  const Case cases[] = {
      {count(), "1", ""},
      {count(), "0", "'0' is not a whole number above 0"},
      {count(), "2.5", "'2.5' is not a whole number above 0"},
      {count(), "99999999999", "'99999999999' is too large"},
      {count(), "-99999999999", "'-99999999999' is not a whole number above 0"},
      {count_or_zero(), "0", ""},
      {count_or_zero(), "-1", "'-1' is not a whole number of 0 or more"},
      {count_or_zero(), "abc", "'abc' is not a whole number of 0 or more"},
      {positive_number(), "1e-3", ""},
      {positive_number(), "0", "'0' is not a positive number"},
      {positive_number(), "inf", "'inf' is not a positive number"},
      {positive_number(), "nan", "'nan' is not a positive number"},
      {number_of_zero_or_more(), "0", ""},
      {number_of_zero_or_more(), "-1e-9", "'-1e-9' is not a number of 0 or more"},
      {fraction(), "0.99", ""},
      {fraction(), "1", "'1' is not a number from 0 to below 1"},
      {fraction(), "", "'' is not a number from 0 to below 1"},
  };
  for (const auto& [validator, text, message] : cases) {
    std::string given = text;
    EXPECT_EQ(validator(given), message) << text;
  }
}

}  // namespace
}  // namespace bnrun::cli
