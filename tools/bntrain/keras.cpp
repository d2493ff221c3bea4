// Networks as Keras writes them: model.to_json() of versions 2 and 3.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "bnrun/error.h"
#include "layers.h"

namespace bnrun {
namespace {

using nlohmann::json;
using train::Activation;
using train::LayerSpec;

class KerasReader {
 public:
  explicit KerasReader(const std::string& file) : file_(file) {}

  std::vector<LayerSpec> read(const std::string& text) {
    const json model = json::parse(text, nullptr, false);
    if (model.is_discarded() || !model.is_object() || !model.contains("config"))
      refuse("this is not what Keras's model.to_json() writes");
    const json& config = model["config"];
    const std::string kind = model.value("class_name", "");
    if (kind != "Sequential" && kind != "Functional" && kind != "Model")
      refuse(fmt::format("a model of the class '{}', expected Sequential or a functional one", kind));
    const json& layers = config.is_array() ? config : config.value("layers", json::array());
    for (const json& layer : layers) add(layer, kind == "Sequential");
    if (layers_.empty()) refuse("there are no layers");
    return std::move(layers_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorCode::invalid_input, fmt::format("{}: {}", file_, what));
  }

  void add(const json& layer, bool sequential) {
    const std::string kind = layer.value("class_name", "");
    const json config = layer.value("config", json::object());
    const std::string name = config.value("name", kind);
    try {
      if (!sequential && !in_a_chain(layer, kind))
        refuse(
            fmt::format("layer '{}' takes something else than the layer before it: --layers with residual() "
                        "can say such networks",
                        name));
      add_known(kind, config, name);
    } catch (const json::exception&) {
      refuse(fmt::format("layer '{}' ({}): its settings are not of the types that Keras writes", name, kind));
    }
    last_ = name;
  }

  /// Whether a layer of a functional model reads the one before it and nothing else: its inbound_nodes name
  /// layers as [[["dense", 0, 0, {}]]] (version 2) or within "keras_history" (version 3).
  bool in_a_chain(const json& layer, const std::string& kind) const {
    if (kind == "InputLayer") return last_.empty();
    std::vector<std::string> sources;
    collect(layer.value("inbound_nodes", json::array()), sources);
    return sources == std::vector<std::string>{last_};
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

  void add_known(const std::string& kind, const json& c, const std::string& name) {
    if (kind == "InputLayer" || kind == "Flatten" || kind == "ActivityRegularization") return;
    if (kind == "Dense") return add_dense(c, name);
    if (kind == "BatchNormalization") {
      layers_.emplace_back(train::BatchNormalization{c.value("momentum", 0.99), c.value("epsilon", 1e-3),
                                                     c.value("center", true), c.value("scale", true)});
    } else if (kind == "LayerNormalization") {
      layers_.emplace_back(train::LayerNormalization{c.value("epsilon", 1e-3), c.value("center", true),
                                                     c.value("scale", true)});
    } else if (kind == "Dropout") {
      layers_.emplace_back(train::Dropout{c.value("rate", 0.5)});
    } else if (kind == "LeakyReLU") {
      layers_.emplace_back(train::LeakyRelu{number(c, {"negative_slope", "alpha"}, 0.3)});
    } else if (kind == "ELU") {
      layers_.emplace_back(train::Elu{number(c, {"alpha"}, 1.0)});
    } else if (kind == "Softmax") {
      layers_.emplace_back(Activation::softmax);
    } else if (kind == "ReLU") {
      if (!c.value("max_value", json()).is_null() || number(c, {"threshold"}, 0.0) != 0.0)
        refuse(fmt::format("layer '{}': a ReLU with max_value or threshold is not known here", name));
      add_slope(number(c, {"negative_slope"}, 0.0));
    } else if (kind == "Activation") {
      add_activation(c.value("activation", json("linear")), name);
    } else {
      refuse(fmt::format("layer '{}' is a {}, which is not known here", name, kind));
    }
  }

  void add_dense(const json& c, const std::string& name) {
    train::Dense dense{.units = c.at("units").get<std::int64_t>(), .use_bias = c.value("use_bias", true)};
    const json given = c.value("kernel_initializer", json("glorot_uniform"));
    const std::string initializer =
        given.is_object() ? snake_case(given.value("class_name", "")) : given.get<std::string>();
    if (!find_initializer(initializer, dense.initializer))
      refuse(fmt::format("layer '{}': the initialiser {} is not known here", name, initializer));
    layers_.emplace_back(dense);
    const json activation = c.value("activation", json("linear"));
    if (activation != json("linear")) add_activation(activation, name);
  }

  void add_slope(double slope) {
    if (slope == 0.0)
      layers_.emplace_back(Activation::relu);
    else
      layers_.emplace_back(train::LeakyRelu{slope});
  }

  void add_activation(const json& given, const std::string& name) {
    const std::string kind =
        given.is_string() ? given.get<std::string>() : snake_case(given.value("class_name", ""));
    const std::pair<const char*, LayerSpec> known[] = {
        {"linear", Activation::linear},       {"relu", Activation::relu},
        {"tanh", Activation::tanh},           {"sigmoid", Activation::sigmoid},
        {"softmax", Activation::softmax},     {"gelu", Activation::gelu},
        {"selu", Activation::selu},           {"elu", train::Elu{1.0}},
        {"leaky_relu", train::LeakyRelu{0.2}}};
    for (const auto& [word, layer] : known) {
      if (kind == word) return layers_.push_back(layer);
    }
    refuse(fmt::format("layer '{}': the activation '{}' is not known here", name, kind));
  }

  static double number(const json& config, std::initializer_list<const char*> names, double otherwise) {
    for (const char* name : names) {
      const json value = config.value(name, json());
      if (value.is_number()) return value.get<double>();
      if (value.is_array() && !value.empty())
        return value[0].get<double>();  // arrays as version 2 wrote them
      if (value.is_object() && value.contains("value")) return value["value"].get<double>();
    }
    return otherwise;
  }

  /// "GlorotUniform" is "glorot_uniform".
  static std::string snake_case(const std::string& name) {
    std::string text;
    for (const char letter : name) {
      const bool upper = letter >= 'A' && letter <= 'Z';
      if (upper && !text.empty()) text += '_';
      text += upper ? static_cast<char>(letter - 'A' + 'a') : letter;
    }
    return text;
  }

  std::string file_;
  std::string last_;
  std::vector<LayerSpec> layers_;
};

}  // namespace

std::vector<LayerSpec> parse_keras(const std::string& json, const std::string& file, std::int64_t outputs,
                                   bool classification) {
  auto layers = KerasReader(file).read(json);
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::invalid_input, fmt::format("{}: {}", file, what));
  };
  const auto dense = std::find_if(layers.rbegin(), layers.rend(), [](const LayerSpec& layer) {
    return std::holds_alternative<train::Dense>(layer);
  });
  if (dense == layers.rend()) refuse("there is no Dense layer");
  if (std::get<train::Dense>(*dense).units != outputs)
    refuse(fmt::format("its last Dense layer has {} units, the target needs {}",
                       std::get<train::Dense>(*dense).units, outputs));
  const auto* last = std::get_if<Activation>(&layers.back());
  const bool softmax = last != nullptr && *last == Activation::softmax;
  if (classification && last != nullptr && *last == Activation::sigmoid)
    refuse("it ends in sigmoid: classes need softmax over as many units as there are classes");
  if (classification && !softmax) layers.emplace_back(Activation::softmax);
  if (!classification && softmax) refuse("it ends in softmax, but the target is a number to predict");
  return layers;
}

}  // namespace bnrun
