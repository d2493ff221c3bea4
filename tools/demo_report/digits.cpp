// bndemo digits: four images and what the model makes of them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>

#include "bnrun/session.h"
#include "commands.h"
#include "io/csv.h"

namespace bnrun {
namespace {

constexpr std::size_t kSide = 8;
constexpr std::size_t kPixels = kSide * kSide;
constexpr std::size_t kClasses = 10;
constexpr std::size_t kShown = 4;
constexpr float kFullInk = 16.0F;

struct Digits {
  std::vector<float> pixels;  // [rows, kPixels]
  std::vector<std::size_t> labels;
  std::vector<float> probabilities;  // [rows, kClasses]

  std::span<const float> image(std::size_t row) const {
    return std::span(pixels).subspan(row * kPixels, kPixels);
  }
  std::span<const float> chances(std::size_t row) const {
    return std::span(probabilities).subspan(row * kClasses, kClasses);
  }
  float certainty(std::size_t row) const { return std::ranges::max(chances(row)); }
};

Digits classify(const std::string& model, const std::string& file) {
  const auto table = io::read_csv(file);
  if (table.columns() != kPixels + 1) throw Error(ErrorCode::invalid_input, file + ": not a table of digits");
  Digits digits;
  digits.pixels.resize(table.rows() * kPixels);
  for (std::size_t c = 0; c < kPixels; ++c) {
    const auto column = table.numbers(c);
    for (std::size_t r = 0; r < column.size(); ++r)
      digits.pixels[r * kPixels + c] = static_cast<float>(column[r]);
  }
  for (const double label : table.numbers(kPixels)) digits.labels.push_back(static_cast<std::size_t>(label));
  const auto session = Session::load(model);
  const NamedTensor input{session.inputs().at(0).name,
                          Tensor({static_cast<std::int64_t>(table.rows()), kPixels}, digits.pixels)};
  const auto outputs = session.run({&input, 1});
  const auto values = outputs.at(0).tensor.span<float>();
  if (values.size() != table.rows() * kClasses)
    throw Error(ErrorCode::invalid_input, model + ": not ten classes");
  digits.probabilities.assign(values.begin(), values.end());
  return digits;
}

/// The first rows of three different digits, and the row the model is least sure of.
std::array<std::size_t, kShown> choose(const Digits& digits) {
  std::vector<std::size_t> rows;
  for (std::size_t r = 0; r < digits.labels.size() && rows.size() + 1 < kShown; ++r) {
    const auto same = [&](std::size_t other) { return digits.labels[other] == digits.labels[r]; };
    if (std::ranges::none_of(rows, same)) rows.push_back(r);
  }
  std::size_t unsure = 0;
  for (std::size_t r = 1; r < digits.labels.size(); ++r) {
    if (digits.certainty(r) < digits.certainty(unsure)) unsure = r;
  }
  rows.resize(kShown, unsure);
  std::array<std::size_t, kShown> chosen{};
  std::ranges::copy(rows, chosen.begin());
  return chosen;
}

const char* shade(float ink) {
  constexpr std::array<const char*, 5> kShades{"  ", "░░", "▒▒", "▓▓", "██"};
  const float step = ink / kFullInk * static_cast<float>(kShades.size() - 1) + 0.5F;
  return kShades[std::min(static_cast<std::size_t>(std::max(step, 0.0F)), kShades.size() - 1)];
}

std::string bar(float chance) {
  constexpr std::size_t kLength = 8;
  const auto filled = static_cast<std::size_t>(chance * kLength + 0.5F);
  std::string text;
  for (std::size_t i = 0; i < kLength; ++i) text += i < filled ? "█" : "·";
  return text;
}

int show_digits(const std::string& model, const std::string& file) {
  const Digits digits = classify(model, file);
  if (digits.labels.size() < kShown) throw Error(ErrorCode::invalid_input, file + ": fewer than four rows");
  const auto rows = choose(digits);
  constexpr const char* kGap = "   ";
  for (std::size_t y = 0; y < kSide; ++y) {
    for (const std::size_t row : rows) {
      fmt::print("{}", kGap);
      for (std::size_t x = 0; x < kSide; ++x) fmt::print("{}", shade(digits.image(row)[y * kSide + x]));
    }
    fmt::print("\n");
  }
  const bool colour = cli::colour_output();
  for (std::size_t place = 0; place < 3; ++place) {
    for (const std::size_t row : rows) {
      const auto chances = digits.chances(row);
      std::array<std::size_t, kClasses> order{};
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t c) { return chances[c]; });
      const std::size_t digit = order[place];
      const char* start = !colour ? "" : digit == digits.labels[row] ? "\033[32m" : "\033[31m";
      fmt::print("{}{}{} {} {:.3f}{}", kGap, start, digit, bar(chances[digit]), chances[digit],
                 colour ? "\033[0m" : "");
    }
    fmt::print("\n");
  }
  for (const std::size_t row : rows) {
    fmt::print("{}{:<16}", kGap, fmt::format("it is a {}", digits.labels[row]));
  }
  fmt::print("\n");
  return cli::kDone;
}

}  // namespace

void add_digits(cli::Program& program) {
  struct Options {
    std::string model, data;
  };
  const auto options = std::make_shared<Options>();
  auto& command = program.add("digits", "Draw four digits and their probabilities, the hardest one last",
                              "  bndemo digits relu.folded.onnx held_out.csv",
                              [options] { return show_digits(options->model, options->data); });
  command.add_option("MODEL", options->model, "A model of 64 pixels and ten classes")->required();
  command.add_option("DATA", options->data, "A table of digits")->required();
}

}  // namespace bnrun
