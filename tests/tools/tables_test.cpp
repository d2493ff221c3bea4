// Tables of text, and the order statistics and turns behind figures in them.
#include <gtest/gtest.h>

#include "common/text_table.h"
#include "common/turns.h"

namespace bnrun::cli {
namespace {

TEST(TextTable, IsMarkdownWhoseBarsAreItsOwn) {
  TextTable table("lr");
  table.add({"name", "us"});
  table.add({"a|b", "10"});
  table.add({"µ", "7"});
  EXPECT_EQ(table.markdown(),
            "| name | us |\n"
            "|------|---:|\n"
            "| a\\|b | 10 |\n"
            "| µ    |  7 |\n");
}

TEST(Quantile, IsOneOfTheValues) {
  const std::vector<double> values = {5, 1, 3, 2, 4};
  EXPECT_EQ(quantile(values, 0.0), 1.0);
  EXPECT_EQ(quantile(values, 0.9), 5.0);
  EXPECT_EQ(quantile(values, 1.0), 5.0);
  EXPECT_EQ(median(values), 3.0);
  EXPECT_EQ(median({7.0}), 7.0);
}

TEST(Turns, GiveEachThingAFigureForEachTurn) {
  int first = 0;
  int second = 0;
  const std::function<void()> things[] = {[&] { ++first; }, [&] { ++second; }};
  for (const bool own_time : {true, false}) {
    const Turns turns{.turns = 4, .slice = std::chrono::microseconds(10), .own_time = own_time};
    const auto seconds = time_in_turns(things, turns);
    ASSERT_EQ(seconds.size(), 2U);
    for (const auto& figures : seconds) EXPECT_EQ(figures.size(), 4U);
  }
  EXPECT_GE(first, 16);
  EXPECT_GE(second, 16);
}

TEST(Turns, TakeAtLeastThreeHoweverLongOneIs) {
  int calls = 0;
  const std::function<void()> things[] = {[&] { ++calls; }};
  const Turns turns{
      .turns = 10, .slice = std::chrono::microseconds(10), .longest = std::chrono::nanoseconds(0)};
  EXPECT_EQ(time_in_turns(things, turns)[0].size(), 3U);
}

TEST(Turns, LeaveOutWhatDoesNotCountWhereThereAreThreeFigures) {
  const std::function<void()> things[] = {[] {}};
  int asked = 0;
  Turns turns{.turns = 5, .slice = std::chrono::microseconds(10)};
  turns.longest = std::chrono::seconds(60);
  turns.counts = [&] { return ++asked % 3 == 0; };
  EXPECT_EQ(time_in_turns(things, turns)[0].size(), 5U);
  EXPECT_EQ(asked, 15) << "each is taken again until it counts";

  turns.longest = std::chrono::nanoseconds(0);
  turns.counts = [] { return false; };
  EXPECT_EQ(time_in_turns(things, turns)[0].size(), 3U) << "when time is up, three are better than none";
}

TEST(Latencies, AreThoseOfEachCall) {
  int calls = 0;
  const std::function<void()> things[] = {[&] { ++calls; }, [] {}};
  const auto latencies = latencies_in_turns(things, std::chrono::milliseconds(2));
  ASSERT_EQ(latencies.size(), 2U);
  EXPECT_GT(latencies[0].size(), 1U);
  EXPECT_LT(latencies[0].size(), static_cast<std::size_t>(calls)) << "the first call of each turn warms up";
  for (const auto& figures : latencies)
    for (const double seconds : figures) EXPECT_GE(seconds, 0.0);
}

}  // namespace
}  // namespace bnrun::cli
