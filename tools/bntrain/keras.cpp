// Networks as Keras writes them: model.to_json() of versions 2 and 3.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bnrun/error.h"
#include "keras_settings.h"
#include "layers.h"

namespace bnrun {
namespace {

using nlohmann::json;
using train::Activation;
using train::LayerSpec;

class KerasReader {
 public:
  explicit KerasReader(const std::string& file) : file_(file) {}

  KerasNetwork read(const std::string& text) {
    const json model = parse_json(text, file_);
    const auto part = [](const json& of, const char* key) {
      const auto found = of.is_object() ? of.find(key) : of.end();
      return found == of.end() ? json() : *found;
    };
    const json config = part(model, "config");
    if (!config.is_structured()) refuse("this is not what Keras's model.to_json() writes");
    const json kind = part(model, "class_name");
    if (kind != "Sequential" && kind != "Functional" && kind != "Model")
      refuse(fmt::format("a model of the class {}, expected Sequential or a functional one", kind.dump()));
    const json layers = config.is_array() ? config : part(config, "layers");
    if (!layers.is_array() || layers.empty()) refuse("there are no layers");
    for (const json& layer : layers) add(layer, kind == "Sequential");
    if (layers_.empty()) refuse("there are no layers");
    const auto outputs = sources(part(config, "output_layers"));
    if (!outputs.empty() && outputs != std::vector{last_})
      refuse(fmt::format("its output is not that of the last layer, '{}'", last_));
    return {std::move(layers_), std::move(input_)};
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorCode::invalid_input, fmt::format("{}: {}", file_, what));
  }

  void add(const json& layer, bool sequential) {
    KerasSettings settings(layer, file_);
    if (!sequential && !in_a_chain(layer, settings.kind()))
      settings.refuse(
          "takes something else than the layer before it: --layers with residual() can say such networks");
    if (last_.empty()) read_input(settings);
    add_known(settings);
    settings.end();
    last_ = settings.name();
  }

  /// Layers by name: [["dense", 0, 0, {}]] (version 2), or within "keras_history" (version 3).
  static std::vector<std::string> sources(const json& node) {
    std::vector<std::string> names;
    collect(node, names);
    return names;
  }
  static void collect(const json& node, std::vector<std::string>& names) {
    if (node.is_array() && node.size() >= 3 && node[0].is_string() && node[1].is_number_integer()) {
      names.push_back(node[0].get<std::string>());
      return;
    }
    if (node.is_structured()) {
      for (const json& part : node) collect(part, names);
    }
  }

  /// Whether a layer of a functional model reads the one before it and nothing else.
  bool in_a_chain(const json& layer, const std::string& kind) const {
    if (kind == "InputLayer") return last_.empty();
    const auto inbound = layer.find("inbound_nodes");
    return inbound != layer.end() && sources(*inbound) == std::vector<std::string>{last_};
  }

  /// [null, 28, 28, 1] of the first layer.
  void read_input(KerasSettings& settings) {
    const json* given = settings.find("batch_shape");
    if (given == nullptr) given = settings.find("batch_input_shape");
    if (given == nullptr) return;
    const auto whole = [](const json& extent) { return extent.is_number_integer() && extent > 0; };
    if (!given->is_array() || given->size() < 2 || !std::all_of(given->begin() + 1, given->end(), whole))
      settings.refuse(fmt::format("an input of the shape {}", given->dump()));
    constexpr std::int64_t kMost = std::int64_t{1} << 40;
    std::int64_t values = 1;
    for (auto extent = given->begin() + 1; extent != given->end(); ++extent) {
      if (*extent > kMost / values) settings.refuse(fmt::format("an input of the shape {}", given->dump()));
      input_.push_back(extent->get<std::int64_t>());
      values *= input_.back();
    }
    rank_ = static_cast<std::int64_t>(given->size());
  }

  void add_known(KerasSettings& s) {
    const std::string& kind = s.kind();
    if (kind == "InputLayer") return;
    if (kind == "Flatten") {
      s.expect("data_format", {"channels_last"});
      if (rank_ > 2) layers_.emplace_back(train::Flatten{});
      rank_ = 2;
    } else if (kind == "Conv2D") {
      add_convolution(s);
    } else if (kind == "MaxPooling2D" || kind == "AveragePooling2D") {
      need_image(s);
      const auto window = s.size("pool_size", train::Size2D{2, 2});
      using Kind = train::Pooling2D::Kind;
      layers_.emplace_back(train::Pooling2D{kind == "MaxPooling2D" ? Kind::maximum : Kind::average, window,
                                            s.size("strides", window), s.padding()});
    } else if (kind == "GlobalAveragePooling2D") {
      need_image(s);
      s.expect("keepdims", {false});
      layers_.emplace_back(train::GlobalAveragePooling2D{});
      rank_ = 2;
    } else if (kind == "Dense") {
      add_dense(s);
    } else if (kind == "BatchNormalization") {
      check_axis(s);
      layers_.emplace_back(train::BatchNormalization{s.number("momentum", 0.99), s.number("epsilon", 1e-3),
                                                     s.flag("center", true), s.flag("scale", true)});
    } else if (kind == "LayerNormalization") {
      if (rank_ != 2) s.refuse("over images is not known here");
      check_axis(s);
      layers_.emplace_back(train::LayerNormalization{s.number("epsilon", 1e-3), s.flag("center", true),
                                                     s.flag("scale", true)});
    } else if (kind == "Dropout") {
      layers_.emplace_back(train::Dropout{s.number("rate", 0.5)});
    } else if (kind == "ActivityRegularization") {
      s.expect("l1", {0.0, 0});
      s.expect("l2", {0.0, 0});
    } else if (kind == "Activation") {
      add_activation(s);
    } else if (!add_activation_layer(s)) {
      s.refuse(fmt::format("a {} is not known here", kind));
    }
  }

  /// Normalises over the last axis.
  void check_axis(KerasSettings& s) const {
    const json last = rank_ - 1;
    s.expect("axis", {-1, json::array({-1}), last, json::array({last})});
  }

  /// That what comes is an image with channels last, which a first layer that does not tell its input is taken
  /// to receive.
  void need_image(KerasSettings& s) {
    s.expect("data_format", {"channels_last"});
    if (layers_.empty() && input_.empty()) rank_ = 4;
    if (rank_ != 4) s.refuse("reads images [height, width, channels]");
  }

  void add_convolution(KerasSettings& s) {
    need_image(s);
    train::Conv2D conv{.filters = s.whole("filters"),
                       .kernel = s.size("kernel_size", std::nullopt),
                       .strides = s.size("strides", train::Size2D{1, 1}),
                       .padding = s.padding(),
                       .use_bias = s.flag("use_bias", true)};
    s.expect("dilation_rate", {1, json::array({1, 1})});
    s.expect("groups", {1});
    s.initializer(conv.initializer, conv.initial_scale);
    layers_.emplace_back(conv);
    add_activation(s);
  }

  void add_dense(KerasSettings& s) {
    if (rank_ != 2) s.refuse("reads images: a Flatten in front makes rows of them");
    train::Dense dense{.units = s.whole("units"), .use_bias = s.flag("use_bias", true)};
    s.initializer(dense.initializer, dense.initial_scale);
    layers_.emplace_back(dense);
    add_activation(s);
  }

  /// The setting "activation": a word, or a layer.
  void add_activation(KerasSettings& s) {
    const auto [given, config] = s.object("activation", "linear");
    const std::string kind = snake_case(given);
    if (!config.empty()) {
      KerasSettings inner(given, config, file_);
      if (!add_activation_layer(inner)) s.refuse(fmt::format("the activation '{}' is not known here", given));
      return inner.end();
    }
    const std::pair<const char*, LayerSpec> known[] = {
        {"linear", Activation::linear},   {"relu", Activation::relu},
        {"re_l_u", Activation::relu},     {"tanh", Activation::tanh},
        {"sigmoid", Activation::sigmoid}, {"softmax", Activation::softmax},
        {"gelu", Activation::gelu},       {"selu", Activation::selu},
        {"elu", train::Elu{1.0}},         {"leaky_relu", train::LeakyRelu{0.2}}};
    for (const auto& [word, layer] : known) {
      if (kind != word) continue;
      if (kind != "linear" || s.kind() == "Activation") layers_.push_back(layer);
      return;
    }
    s.refuse(fmt::format("the activation '{}' is not known here", given));
  }

  /// False where it is none.
  bool add_activation_layer(KerasSettings& s) {
    const std::string& kind = s.kind();
    if (kind == "LeakyReLU") {
      layers_.emplace_back(train::LeakyRelu{s.number_of({"negative_slope", "alpha"}, 0.3)});
    } else if (kind == "ELU") {
      layers_.emplace_back(train::Elu{s.number("alpha", 1.0)});
    } else if (kind == "Softmax") {
      check_axis(s);
      layers_.emplace_back(Activation::softmax);
    } else if (kind == "ReLU") {
      s.expect("threshold", {0.0, 0, json::array({0.0})});
      const double slope = s.number("negative_slope", 0.0);
      if (slope == 0.0)
        layers_.emplace_back(Activation::relu);
      else
        layers_.emplace_back(train::LeakyRelu{slope});
    } else {
      return false;
    }
    return true;
  }

  std::string file_;
  std::string last_;
  std::int64_t rank_ = 2;  ///< of what the next layer receives, the batch among it
  std::vector<std::int64_t> input_;
  std::vector<LayerSpec> layers_;
};

}  // namespace

KerasNetwork parse_keras(const std::string& json, const std::string& file, std::int64_t outputs, Task task) {
  auto network = KerasReader(file).read(json);
  auto& layers = network.layers;
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::invalid_input, fmt::format("{}: {}", file, what));
  };
  const auto width_of = [](const LayerSpec& layer) -> std::int64_t {
    if (const auto* dense = std::get_if<train::Dense>(&layer)) return dense->units;
    const auto* conv = std::get_if<train::Conv2D>(&layer);
    return conv != nullptr ? conv->filters : 0;
  };
  const auto multiplies = std::find_if(layers.rbegin(), layers.rend(),
                                       [&](const LayerSpec& layer) { return width_of(layer) > 0; });
  if (multiplies == layers.rend()) refuse("there is no Dense layer");
  const bool dense = std::holds_alternative<train::Dense>(*multiplies);
  if (width_of(*multiplies) != outputs)
    refuse(fmt::format("its last {} layer has {} {}, the target needs {}", dense ? "Dense" : "Conv2D",
                       width_of(*multiplies), dense ? "units" : "filters", outputs));
  const auto* last = std::get_if<Activation>(&layers.back());
  if (task == Task::classification && last != nullptr && *last == Activation::sigmoid)
    refuse("it ends in sigmoid: classes need softmax over as many units as there are classes");
  if (const auto odd = end_layers(task, layers); !odd.empty()) refuse(odd);
  return network;
}

}  // namespace bnrun
