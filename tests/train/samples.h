// Data to train on, and what tests of the trainer ask for again and again.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "bnrun/error.h"
#include "bnrun/train.h"
#include "support/expect_error.h"
#include "train/random.h"

namespace bnrun::train {

inline std::vector<float> draw(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.uniform(-2.0, 2.0));
  return values;
}

inline Dataset labelled(std::int64_t rows, std::int64_t columns, std::int64_t classes) {
  Dataset data{.columns = columns, .features = draw(static_cast<std::size_t>(rows * columns), 11)};
  for (std::int64_t r = 0; r < rows; ++r) data.labels.push_back((r * 7 + r / 3) % classes);
  return data;
}

inline Dataset measured(std::int64_t rows, std::int64_t columns, std::int64_t outputs) {
  return {.columns = columns,
          .features = draw(static_cast<std::size_t>(rows * columns), 12),
          .targets = draw(static_cast<std::size_t>(rows * outputs), 13)};
}

/// Noise with labels that cannot be learnt, so that validation soon gets worse.
inline FitOptions overfitting() {
  return {.epochs = 60, .batch = 8, .optimizer = Adam{.learning_rate = 0.02}, .validation = 0.4};
}

inline Network small() {
  return Network(
      4, {Dense{16}, BatchNormalization{}, Activation::relu, Dropout{0.1}, Dense{3}, Activation::softmax});
}

/// Throws invalid_input with a message that says this.
template <class F>
void expect_refused(F&& action, const std::string& part) {
  const std::string message = testing::expect_error(ErrorCode::invalid_input, action);
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

}  // namespace bnrun::train
