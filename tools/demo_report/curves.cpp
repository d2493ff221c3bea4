// bndemo curves: loss and accuracy of one or two trainings, side by side.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "commands.h"
#include "io/csv.h"

namespace bnrun {
namespace {

constexpr std::size_t kHeight = 8;
constexpr std::size_t kWidth = 30;
constexpr std::array<const char*, 2> kMarks{"○", "●"};
constexpr std::array<const char*, 2> kColours{"\033[33m", "\033[36m"};

using Series = std::vector<double>;

struct Range {
  double low, high;
};

std::string mark(std::size_t series) {
  const bool colour = cli::colour_output();
  return fmt::format("{}{}{}", colour ? kColours[series % 2] : "", kMarks[series % 2],
                     colour ? "\033[0m" : "");
}

/// The series at a position between its first (0) and last (1) epoch.
double at(const Series& series, double position) {
  const double x = position * static_cast<double>(series.size() - 1);
  const auto left = static_cast<std::size_t>(x);
  const auto right = std::min(left + 1, series.size() - 1);
  return std::lerp(series[left], series[right], x - std::floor(x));
}

/// One line per row, from the top; later series cover earlier ones.
std::vector<std::string> draw(const std::vector<Series>& all, Range range) {
  std::vector<std::vector<std::string>> cells(kHeight, std::vector<std::string>(kWidth, " "));
  for (std::size_t s = 0; s < all.size(); ++s) {
    for (std::size_t column = 0; column < kWidth; ++column) {
      const double value = at(all[s], static_cast<double>(column) / (kWidth - 1));
      const double height = std::clamp((value - range.low) / (range.high - range.low), 0.0, 1.0);
      const auto row = static_cast<std::size_t>(std::lround((1.0 - height) * (kHeight - 1)));
      cells[row][column] = mark(s);
    }
  }
  std::vector<std::string> lines;
  for (std::size_t row = 0; row < kHeight; ++row) {
    const bool labelled = row == 0 || row + 1 == kHeight;
    std::string line = labelled ? fmt::format("{:5.2f} ┤", row == 0 ? range.high : range.low) : "      │";
    for (const auto& cell : cells[row]) line += cell;
    lines.push_back(line);
  }
  return lines;
}

int show_curves(const std::vector<std::string>& names, const std::vector<std::string>& files) {
  std::vector<Series> losses;
  std::vector<Series> accuracies;
  std::size_t epochs = 0;
  for (const auto& file : files) {
    const auto table = io::read_csv(file);
    const auto column = [&](const char* name) {
      const auto numbers = table.numbers(table.find(name));
      return Series(numbers.begin(), numbers.end());
    };
    losses.push_back(column("loss"));
    accuracies.push_back(column("accuracy"));
    epochs = std::max(epochs, table.rows());
  }
  double most = 0.0;
  double least = 1.0;
  for (const auto& series : losses) most = std::max(most, std::ranges::max(series));
  for (const auto& series : accuracies) least = std::min(least, std::ranges::min(series));
  const auto left = draw(losses, {0.0, std::ceil(most * 2.0) / 2.0});
  const auto right = draw(accuracies, {std::floor(least * 10.0) / 10.0, 1.0});
  std::string legend;
  for (std::size_t s = 0; s < names.size(); ++s) legend += fmt::format("  {} {}", mark(s), names[s]);
  fmt::print("  {:<40}{:<12}{}\n", "loss", "accuracy", legend);
  for (std::size_t row = 0; row < kHeight; ++row) fmt::print("{}   {}\n", left[row], right[row]);
  const auto axis = fmt::format("      └1{:─>{}}", fmt::format("{}", epochs), kWidth - 1);
  fmt::print("{}   {}\n", axis, axis);
  return cli::kDone;
}

}  // namespace

void add_curves(cli::Program& program) {
  struct Options {
    std::vector<std::string> names;
    std::vector<std::string> files;
  };
  const auto options = std::make_shared<Options>();
  auto& command = program.add("curves", "Draw what bntrain fit --history wrote",
                              "  bndemo curves --name linear --name relu linear.csv relu.csv",
                              [options] { return show_curves(options->names, options->files); });
  command.add_option("--name", options->names, "Of each curve")->allow_extra_args(false);
  command.add_option("HISTORY", options->files, "Files with the columns loss and accuracy")
      ->required()
      ->expected(1, 2);
}

}  // namespace bnrun
