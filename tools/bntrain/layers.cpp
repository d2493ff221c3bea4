#include "layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "common/program.h"

namespace bnrun {
namespace {

using train::Activation;
using train::LayerSpec;

constexpr std::array<std::pair<std::string_view, Activation>, 7> kActivations{{
    {"linear", Activation::linear},
    {"relu", Activation::relu},
    {"tanh", Activation::tanh},
    {"sigmoid", Activation::sigmoid},
    {"softmax", Activation::softmax},
    {"gelu", Activation::gelu},
    {"selu", Activation::selu},
}};

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  throw cli::UsageError(fmt::format(format, std::forward<Args>(args)...));
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

/// Parts between these separators, brackets kept whole.
std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t first = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++depth;
    if (i < text.size() && text[i] == ')') --depth;
    if (i < text.size() && (depth > 0 || separators.find(text[i]) == std::string_view::npos)) continue;
    parts.push_back(trimmed(text.substr(first, i - first)));
    first = i + 1;
  }
  return parts;
}

/// A layer as it is written: "dense(32, nobias)" or "dense:32:nobias".
struct Written {
  std::string_view whole;
  std::string_view name;
  std::string_view inside;  ///< the brackets
  std::vector<std::string_view> words;
  std::int64_t size = 0;  ///< of a residual block: its layers
};

Written read_layer(std::string_view text) {
  Written layer{.whole = text};
  if (text.ends_with(')') && text.find('(') != std::string_view::npos) {
    const auto open = text.find('(');
    layer.name = trimmed(text.substr(0, open));
    layer.inside = text.substr(open + 1, text.size() - open - 2);
    for (const auto word : split(layer.inside, ",")) layer.words.push_back(word);
    if (layer.words == std::vector<std::string_view>{""}) layer.words.clear();
    return layer;
  }
  layer.words = split(text, ":");
  layer.name = layer.words[0];
  layer.words.erase(layer.words.begin());
  return layer;
}

std::optional<double> read_number(std::string_view text) {
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The words of a layer, taken one after another; what is left at the end is not understood.
class Words {
 public:
  explicit Words(const Written& layer) : layer_(layer), left_(layer.words) {}

  bool take(std::string_view word) {
    const auto found = std::find(left_.begin(), left_.end(), word);
    if (found == left_.end()) return false;
    left_.erase(found);
    return true;
  }
  /// "NAME=NUMBER".
  void take(std::string_view name, double& number) {
    for (auto word = left_.begin(); word != left_.end(); ++word) {
      const auto equals = word->find('=');
      if (equals == std::string_view::npos || trimmed(word->substr(0, equals)) != name) continue;
      const auto value = read_number(trimmed(word->substr(equals + 1)));
      if (!value) refuse("'{}': {} is no number", layer_.whole, *word);
      number = *value;
      left_.erase(word);
      return;
    }
  }
  /// A number alone, as the first word.
  std::optional<double> take_number() {
    if (left_.empty()) return std::nullopt;
    const auto number = read_number(left_[0]);
    if (number) left_.erase(left_.begin());
    return number;
  }
  /// A size alone, as the first word.
  std::optional<train::Size2D> take_size() {
    const auto size = left_.empty() ? std::nullopt : read_size(left_[0]);
    if (size) left_.erase(left_.begin());
    return size;
  }
  /// "NAME=SIZE".
  std::optional<train::Size2D> take_size(std::string_view name) {
    for (auto word = left_.begin(); word != left_.end(); ++word) {
      const auto equals = word->find('=');
      if (equals == std::string_view::npos || trimmed(word->substr(0, equals)) != name) continue;
      const auto size = read_size(trimmed(word->substr(equals + 1)));
      if (!size) refuse("'{}': {} is no size such as 2 or 2x3", layer_.whole, *word);
      left_.erase(word);
      return size;
    }
    return std::nullopt;
  }
  train::Padding take_padding() {
    const bool same = take("same");
    if (same && take("valid")) refuse("'{}': same and valid, give one", layer_.whole);
    if (!same) take("valid");
    return same ? train::Padding::same : train::Padding::valid;
  }
  template <class F>
  void take_if(F accepts) {
    std::erase_if(left_, accepts);
  }
  void end(std::string_view known) const {
    if (!left_.empty()) refuse("'{}': '{}' is not {}", layer_.whole, left_[0], known);
  }

 private:
  const Written& layer_;
  std::vector<std::string_view> left_;
};

LayerSpec make_dense(const Written& layer, std::int64_t outputs, bool last) {
  Words words(layer);
  train::Dense dense{.units = outputs};
  if (const auto units = words.take_number()) {
    if (!(*units >= 1.0 && *units <= 1e9 && *units == static_cast<double>(static_cast<std::int64_t>(*units))))
      refuse("'{}': units must be a positive number, as in dense(32)", layer.whole);
    dense.units = static_cast<std::int64_t>(*units);
  } else if (!layer.words.empty() || !last) {
    if (!last) refuse("only the last dense layer may leave out its units, as in dense(32)");
    refuse("'{}': units must be a positive number, as in dense(32)", layer.whole);
  }
  dense.use_bias = !words.take("nobias");
  words.take("scale", dense.initial_scale);
  words.take_if([&](std::string_view word) { return find_initializer(word, dense.initializer); });
  words.end("nobias, scale=NUMBER or an initialiser such as he_uniform");
  if (last && dense.units != outputs)
    refuse("the last dense layer has {} units, the target needs {}", dense.units, outputs);
  return dense;
}

template <class Normalization>
LayerSpec make_normalization(const Written& layer, Normalization spec) {
  Words words(layer);
  words.take("epsilon", spec.epsilon);
  if constexpr (std::is_same_v<Normalization, train::BatchNormalization>)
    words.take("momentum", spec.momentum);
  spec.center = !words.take("nocenter");
  spec.scale = !words.take("noscale");
  words.end("epsilon=NUMBER, momentum=NUMBER (of bn), nocenter or noscale");
  return spec;
}

template <class Layer>
LayerSpec make_with_number(const Written& layer, double Layer::*member) {
  Words words(layer);
  Layer spec;
  if (const auto number = words.take_number()) spec.*member = *number;
  words.end("a number");
  return spec;
}

void flatten(std::string_view text, std::vector<Written>& layers, int depth) {
  constexpr int kDeepest = 20;
  if (depth > kDeepest) refuse("residual blocks within more than {} others", kDeepest);
  for (const auto part : split(text, ",")) {
    if (part.empty()) refuse("'{}': a layer is missing", text);
    for (const auto word : split(part, " \t\n")) {
      if (word.empty()) continue;
      const Written layer = read_layer(word);
      if (layer.name != "residual") {
        layers.push_back(layer);
        continue;
      }
      const std::int64_t before = std::ssize(layers);
      flatten(layer.inside, layers, depth + 1);
      layers.push_back({.whole = word, .name = "residual", .size = std::ssize(layers) - before});
    }
  }
}

LayerSpec make_convolution(const Written& layer) {
  Words words(layer);
  const auto filters = words.take_number();
  if (!filters) refuse("'{}': filters and the size of the kernel are missing, as in conv(6, 5)", layer.whole);
  if (!(*filters >= 1.0 && *filters <= 65536.0) || *filters != std::floor(*filters))
    refuse("'{}': {} filters, expected a whole number from 1 to 65536", layer.whole, *filters);
  train::Conv2D conv{.filters = static_cast<std::int64_t>(*filters)};
  const auto kernel = words.take_size();
  if (!kernel)
    refuse("'{}': the size of the kernel is missing, as in conv(6, 5) or conv(6, 3x5)", layer.whole);
  conv.kernel = *kernel;
  conv.strides = words.take_size("strides").value_or(conv.strides);
  conv.padding = words.take_padding();
  conv.use_bias = !words.take("nobias");
  words.take("scale", conv.initial_scale);
  words.take_if([&](std::string_view word) { return find_initializer(word, conv.initializer); });
  words.end("same, valid, strides=SIZE, nobias, scale=NUMBER or an initialiser such as he_uniform");
  return conv;
}

LayerSpec make_pooling(const Written& layer, train::Pooling2D::Kind kind) {
  Words words(layer);
  train::Pooling2D pooling{.kind = kind};
  pooling.window = words.take_size().value_or(pooling.window);
  pooling.strides = words.take_size("strides").value_or(pooling.window);
  pooling.padding = words.take_padding();
  words.end("same, valid or strides=SIZE");
  return pooling;
}

LayerSpec make_layer(const Written& layer, std::int64_t outputs, bool last_dense,
                     const train::BatchNormalization& usual) {
  if (layer.name == "conv") return make_convolution(layer);
  if (layer.name == "maxpool") return make_pooling(layer, train::Pooling2D::Kind::maximum);
  if (layer.name == "avgpool") return make_pooling(layer, train::Pooling2D::Kind::average);
  if (layer.name == "gap" && layer.words.empty()) return train::GlobalAveragePooling2D{};
  if (layer.name == "flatten" && layer.words.empty()) return train::Flatten{};
  if (layer.name == "dense") return make_dense(layer, outputs, last_dense);
  if (layer.name == "bn") return make_normalization(layer, usual);
  if (layer.name == "ln") return make_normalization(layer, train::LayerNormalization{});
  if (layer.name == "dropout") return make_with_number(layer, &train::Dropout::rate);
  if (layer.name == "leaky_relu") return make_with_number(layer, &train::LeakyRelu::alpha);
  if (layer.name == "elu") return make_with_number(layer, &train::Elu::alpha);
  if (layer.name == "residual") return train::Shortcut{layer.size};
  const auto* const found =
      std::ranges::find(kActivations, layer.name, [](const auto& entry) { return entry.first; });
  if (found == kActivations.end() || !layer.words.empty())
    refuse(
        "'{}' is no layer; known: dense(UNITS), bn, ln, dropout(RATE), relu, leaky_relu(ALPHA), elu(ALPHA), "
        "selu, gelu, tanh, sigmoid, linear, softmax, residual(LAYERS), and of images conv(FILTERS, SIZE), "
        "maxpool(SIZE), avgpool(SIZE), gap, flatten",
        layer.whole);
  return found->second;
}

}  // namespace

std::optional<train::Size2D> read_size(std::string_view text) {
  const auto side = [](std::string_view number) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    return error == std::errc{} && end == number.data() + number.size() ? value : -1;
  };
  const auto by = text.find('x');
  const train::Size2D size{side(text.substr(0, by)), side(by == text.npos ? text : text.substr(by + 1))};
  if (size.height < 1 || size.width < 1) return std::nullopt;
  return size;
}

bool find_initializer(std::string_view name, train::Initializer& found) {
  for (int i = 0; i <= static_cast<int>(train::Initializer::ones); ++i) {
    const auto initializer = static_cast<train::Initializer>(i);
    if (name_of(initializer) != name && !(name == "he" && initializer == train::Initializer::he_uniform))
      continue;
    found = initializer;
    return true;
  }
  return false;
}

std::string end_layers(Task task, std::vector<LayerSpec>& layers) {
  const auto* last = layers.empty() ? nullptr : std::get_if<Activation>(&layers.back());
  const bool softmax = last != nullptr && *last == Activation::softmax;
  const bool sigmoid = last != nullptr && *last == Activation::sigmoid;
  if (task == Task::classification && !softmax) layers.emplace_back(Activation::softmax);
  if (task == Task::multilabel && softmax)
    return "softmax at the end, but several labels may hold at once, which sigmoid is for";
  if (task == Task::multilabel && !sigmoid) layers.emplace_back(Activation::sigmoid);
  return task == Task::regression && softmax ? "softmax at the end, but the target is a number to predict"
                                             : "";
}

std::vector<LayerSpec> parse_layers(std::string_view text, std::int64_t outputs, Task task,
                                    const train::BatchNormalization& usual) {
  if (std::ranges::count(text, '(') != std::ranges::count(text, ')'))
    refuse("'{}': a bracket is open or closes nothing", text);
  std::vector<Written> written;
  flatten(text, written, 0);
  if (written.empty()) refuse("'{}': there are no layers", text);
  const auto last_dense =
      std::ranges::find(written.rbegin(), written.rend(), "dense", &Written::name).base() - written.begin() -
      1;
  std::vector<LayerSpec> layers;
  for (std::size_t i = 0; i < written.size(); ++i)
    layers.push_back(make_layer(written[i], outputs, std::cmp_equal(i, last_dense), usual));
  if (const auto odd = end_layers(task, layers); !odd.empty()) refuse("{}", odd);
  return layers;
}

std::string layers_text(const HiddenLayers& hidden) {
  using Normalization = HiddenLayers::Normalization;
  std::string text;
  for (const auto units : hidden.units) {
    text += fmt::format("dense:{},", units);
    if (hidden.normalization == Normalization::before) text += "bn,";
    if (hidden.normalization == Normalization::layer) text += "ln,";
    if (hidden.activation != "linear") text += hidden.activation + ",";
    if (hidden.normalization == Normalization::after) text += "bn,";
    if (hidden.dropout > 0.0) text += fmt::format("dropout:{},", hidden.dropout);
  }
  return text + "dense";
}

}  // namespace bnrun
