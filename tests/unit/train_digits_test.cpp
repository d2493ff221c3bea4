// What the trainer reaches on real data: the median accuracy over 15 ways to hold out 360 digits, because one
// way alone moves it by a hundredth. The bounds lie a little below what was measured, because BLAS kernels
// differ between CPUs.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "bnrun/train.h"
#include "io/csv.h"

namespace bnrun::train {
namespace {

Dataset read_digits() {
  const auto table = io::read_csv(BNRUN_SOURCE_DIR "/models/data/digits.csv.gz");
  Dataset data{.columns = static_cast<std::int64_t>(table.columns()) - 1};
  for (std::size_t r = 0; r < table.rows(); ++r) {
    for (std::size_t c = 0; c + 1 < table.columns(); ++c) {
      data.features.push_back(static_cast<float>(table.numbers(c)[r]));
    }
    data.labels.push_back(static_cast<std::int64_t>(table.numbers(table.columns() - 1)[r]));
  }
  return data;
}

double median_accuracy(const std::vector<LayerSpec>& layers) {
  constexpr std::uint64_t kSeeds = 15;
  constexpr std::size_t kHeldOut = 360;
  const Dataset digits = read_digits();
  std::vector<double> accuracies;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto order = shuffled_rows(static_cast<std::size_t>(digits.rows()), seed);
    const auto training = take_rows(digits, std::span(order).subspan(kHeldOut));
    const auto held_out = take_rows(digits, std::span(order).first(kHeldOut));
    Network network(64, layers, seed);
    network.set_input_scaling(Scaling::by(1.0 / 16.0, 64));
    fit(network, training, {.epochs = 20, .batch = 32, .seed = seed});
    accuracies.push_back(evaluate(network, held_out).metric);
  }
  std::ranges::sort(accuracies);
  return accuracies[kSeeds / 2];
}

TEST(Digits, LinearLayersWithBatchNormalization) {
  EXPECT_GE(median_accuracy({Dense{32}, BatchNormalization{}, Dense{32}, BatchNormalization{}, Dense{10},
                             Activation::softmax}),
            0.955);
}

TEST(Digits, BatchNormalizationBeforeRelu) {
  EXPECT_GE(median_accuracy({Dense{32}, BatchNormalization{}, Activation::relu, Dense{32},
                             BatchNormalization{}, Activation::relu, Dense{10}, Activation::softmax}),
            0.97);
}

}  // namespace
}  // namespace bnrun::train
