#include "layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "common/program.h"

namespace bnrun {
namespace {

constexpr std::array<std::pair<std::string_view, train::Activation>, 5> kActivations{{
    {"linear", train::Activation::linear},
    {"relu", train::Activation::relu},
    {"tanh", train::Activation::tanh},
    {"sigmoid", train::Activation::sigmoid},
    {"softmax", train::Activation::softmax},
}};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

train::Dense parse_dense(std::string_view text, std::int64_t outputs, bool last) {
  const auto parts = split(text, ':');
  train::Dense dense{.units = outputs};
  if (parts.size() == 1) {
    if (!last) throw cli::UsageError("only the last dense layer may leave out its units, as in dense:32");
    return dense;
  }
  const auto number = parts[1];
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), dense.units);
  if (error != std::errc{} || end != number.data() + number.size() || dense.units < 1) {
    throw cli::UsageError(fmt::format("'{}': units must be a positive number, as in dense:32", text));
  }
  for (std::size_t i = 2; i < parts.size(); ++i) {
    if (parts[i] == "nobias") {
      dense.use_bias = false;
    } else if (parts[i] == "he") {
      dense.initializer = train::Initializer::he_uniform;
    } else {
      throw cli::UsageError(fmt::format("'{}': '{}' is not nobias or he", text, parts[i]));
    }
  }
  if (last && dense.units != outputs) {
    throw cli::UsageError(
        fmt::format("the last dense layer has {} units, the target needs {}", dense.units, outputs));
  }
  return dense;
}

}  // namespace

std::vector<train::LayerSpec> parse_layers(std::string_view text, std::int64_t outputs, bool classification) {
  const auto parts = split(text, ',');
  const auto is_dense = [](std::string_view part) { return part == "dense" || part.starts_with("dense:"); };
  const auto last_dense = std::find_if(parts.rbegin(), parts.rend(), is_dense).base() - parts.begin() - 1;
  std::vector<train::LayerSpec> layers;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto part = parts[i];
    const auto* const activation =
        std::ranges::find(kActivations, part, [](const auto& entry) { return entry.first; });
    if (is_dense(part)) {
      layers.emplace_back(parse_dense(part, outputs, std::cmp_equal(i, last_dense)));
    } else if (part == "bn") {
      layers.emplace_back(train::BatchNormalization{});
    } else if (activation != kActivations.end()) {
      layers.emplace_back(activation->second);
    } else {
      throw cli::UsageError(fmt::format(
          "'{}' is no layer; known: dense:UNITS, bn, relu, tanh, sigmoid, linear, softmax", part));
    }
  }
  const bool softmax = parts.back() == "softmax";
  if (classification && !softmax) layers.emplace_back(train::Activation::softmax);
  if (!classification && softmax)
    throw cli::UsageError("softmax at the end, but the target is a number to predict");
  return layers;
}

std::string layers_text(const HiddenLayers& hidden) {
  std::string text;
  for (const auto units : hidden.units) {
    text += fmt::format("dense:{},", units);
    if (hidden.batch_norm && hidden.before_activation) text += "bn,";
    if (hidden.activation != "linear") text += hidden.activation + ",";
    if (hidden.batch_norm && !hidden.before_activation) text += "bn,";
  }
  return text + "dense";
}

}  // namespace bnrun
