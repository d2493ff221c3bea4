#include "keras_settings.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "bnrun/error.h"
#include "layers.h"

namespace bnrun {

using nlohmann::json;

namespace {

/// Text of a value for a message: its beginning.
std::string shown(const json& value) {
  constexpr std::size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

bool same_number(double a, double b) {
  return std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b));
}

}  // namespace

json parse_json(const std::string& text, const std::string& file) {
  constexpr int kDeepest = 100;
  const auto check_depth = [&](int depth, json::parse_event_t /*event*/, json& /*parsed*/) {
    if (depth > kDeepest)
      throw Error(ErrorCode::invalid_input,
                  fmt::format("{}: its JSON is nested deeper than {} levels", file, kDeepest));
    return true;
  };
  json parsed = json::parse(text, check_depth, false);
  if (parsed.is_discarded()) throw Error(ErrorCode::invalid_input, fmt::format("{}: this is no JSON", file));
  return parsed;
}

std::string snake_case(const std::string& name) {
  std::string text;
  for (const char letter : name) {
    const bool upper = letter >= 'A' && letter <= 'Z';
    if (upper && !text.empty()) text += '_';
    text += upper ? static_cast<char>(letter - 'A' + 'a') : letter;
  }
  return text;
}

KerasSettings::KerasSettings(const json& layer, std::string file) : file_(std::move(file)) {
  const auto text = [](const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (layer.is_object()) kind_ = text(layer, "class_name");
  if (kind_.empty())
    throw Error(ErrorCode::invalid_input,
                fmt::format("{}: {} is no layer, which has a class_name", file_, shown(layer)));
  const auto config = layer.find("config");
  config_ = config == layer.end() || config->is_null() ? json::object() : *config;
  name_ = kind_;
  if (!config_.is_object()) refuse(fmt::format("its settings are {}", shown(config_)));
  name_ = word("name", kind_);
}

KerasSettings::KerasSettings(std::string kind, const json& config, std::string file)
    : kind_(std::move(kind)), config_(config), file_(std::move(file)), name_(kind_) {
  if (!config_.is_object()) refuse(fmt::format("its settings are {}", shown(config_)));
}

void KerasSettings::refuse(const std::string& what) const {
  throw Error(ErrorCode::invalid_input, fmt::format("{}: layer '{}'{}: {}", file_, name_,
                                                    name_ == kind_ ? "" : fmt::format(" ({})", kind_), what));
}

void KerasSettings::refuse_value(const std::string& key, const json& value) const {
  refuse(fmt::format("{} {} is not known here", key, shown(value)));
}

const json* KerasSettings::find(const std::string& key) {
  asked_.insert(key);
  const auto found = config_.find(key);
  return found == config_.end() || found->is_null() ? nullptr : &*found;
}

std::int64_t KerasSettings::whole(const std::string& key) {
  const json* value = find(key);
  if (value == nullptr) refuse(fmt::format("{} is not given", key));
  if (!value->is_number_integer() || *value > std::int64_t{1} << 40)
    refuse(fmt::format("{} {}, expected a whole number", key, shown(*value)));
  return value->get<std::int64_t>();
}

double KerasSettings::number(const std::string& key, double otherwise) {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  const json* one = value;  // version 2 wrote some as an array, or as an object of one
  if (value->is_array() && value->size() == 1) one = &(*value)[0];
  if (value->is_object() && value->contains("value")) one = &(*value)["value"];
  if (!one->is_number()) refuse(fmt::format("{} {}, expected a number", key, shown(*value)));
  return one->get<double>();
}

double KerasSettings::number_of(std::initializer_list<const char*> keys, double otherwise) {
  double result = otherwise;
  for (auto key = std::rbegin(keys); key != std::rend(keys); ++key) result = number(*key, result);
  return result;
}

bool KerasSettings::flag(const std::string& key, bool otherwise) {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) refuse(fmt::format("{} {}, expected true or false", key, shown(*value)));
  return value->get<bool>();
}

std::string KerasSettings::word(const std::string& key, const std::string& otherwise) {
  const json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) refuse(fmt::format("{} {}, expected a word", key, shown(*value)));
  return value->get<std::string>();
}

train::Size2D KerasSettings::size(const std::string& key, const std::optional<train::Size2D>& otherwise) {
  const json* value = find(key);
  if (value == nullptr && otherwise) return *otherwise;
  if (value == nullptr) refuse(fmt::format("{} is not given", key));
  const json both = value->is_array() ? *value : json::array({*value, *value});
  const auto side = [](const json& number) {
    return number.is_number_integer() && number > 0 && number < 65536;
  };
  if (both.size() != 2 || !side(both[0]) || !side(both[1]))
    refuse(fmt::format("{} {}, expected one or two whole numbers", key, shown(*value)));
  return {both[0].get<std::int64_t>(), both[1].get<std::int64_t>()};
}

train::Padding KerasSettings::padding() {
  expect("padding", {"same", "valid"});
  return word("padding", "valid") == "same" ? train::Padding::same : train::Padding::valid;
}

std::pair<std::string, json> KerasSettings::object(const std::string& key, const std::string& otherwise) {
  const json* value = find(key);
  if (value == nullptr) return {otherwise, json::object()};
  if (value->is_string()) return {value->get<std::string>(), json::object()};
  const auto part = [&](const char* name) {
    const auto found = value->is_object() ? value->find(name) : value->end();
    return found == value->end() ? json() : *found;
  };
  const json kind = part("class_name");
  json settings = part("config");
  // Version 3 writes a function as a class "function" of that name.
  if (kind == "function" && settings.is_string()) return {settings.get<std::string>(), json::object()};
  if (settings.is_null()) settings = json::object();
  if (!kind.is_string() || !settings.is_object()) refuse_value(key, *value);
  return {kind.get<std::string>(), std::move(settings)};
}

void KerasSettings::initializer(train::Initializer& initializer, double& scale) {
  using train::Initializer;
  const auto [given, config] = object("kernel_initializer", "glorot_uniform");
  const std::string kind = snake_case(given);
  KerasSettings own(fmt::format("{}, kernel_initializer {}", name_, kind), config, file_);
  scale = 1.0;
  constexpr double kSmall = 0.05;  // Keras's, and what ours draws
  if (kind == "variance_scaling") {
    scale = std::sqrt(own.number("scale", 1.0));
    const std::string mode = own.word("mode", "fan_in");
    const std::string distribution = own.word("distribution", "truncated_normal");
    const bool uniform = distribution == "uniform";
    if (mode != "fan_in" && mode != "fan_avg") own.refuse(fmt::format("mode {} is not known here", mode));
    if (!uniform && distribution != "truncated_normal")
      own.refuse(fmt::format("distribution {} is not known here", distribution));
    if (mode == "fan_in")
      initializer = uniform ? Initializer::lecun_uniform : Initializer::lecun_normal;
    else
      initializer = uniform ? Initializer::glorot_uniform : Initializer::glorot_normal;
  } else if (kind == "constant") {
    initializer = Initializer::ones;
    scale = own.number("value", 0.0);
  } else if (!find_initializer(kind, initializer)) {
    refuse(fmt::format("the initialiser {} is not known here", kind));
  } else if (initializer == Initializer::random_normal || initializer == Initializer::truncated_normal) {
    own.expect("mean", {0.0, 0});
    scale = own.number("stddev", kSmall) / kSmall;
  } else if (initializer == Initializer::random_uniform) {
    const double high = own.number("maxval", kSmall);
    if (!same_number(own.number("minval", -kSmall), -high))
      own.refuse("minval is not -maxval, which is all that is known here");
    scale = high / kSmall;
  } else if (initializer == Initializer::orthogonal) {
    scale = own.number("gain", 1.0);
  }
  own.end();
}

void KerasSettings::expect(const std::string& key, std::initializer_list<json> known) {
  const json* value = find(key);
  if (value != nullptr && std::find(known.begin(), known.end(), *value) == known.end())
    refuse_value(key, *value);
}

void KerasSettings::expect_initializer(const std::string& key, const std::string& known) {
  const auto [kind, config] = object(key, known);
  if (snake_case(kind) != known || !config.empty()) refuse_value(key, config_[key]);
}

/// Networks are trained in float32.
void KerasSettings::check_type() {
  const auto [kind, config] = object("dtype", "float32");
  const auto policy = config.find("name");
  const json name = policy == config.end() ? json(kind) : *policy;
  if (name != "float32") refuse_value("dtype", config_["dtype"]);
}

void KerasSettings::end() {
  check_type();
  for (const char* key : {"name", "batch_input_shape", "batch_shape", "input_dtype", "seed", "synchronized",
                          "fused", "autocast", "optional"})
    asked_.insert(key);  // the shape is looked at beforehand; the others change nothing
  expect("trainable", {true});
  for (const char* key : {"sparse", "ragged", "renorm", "rms_scaling"}) expect(key, {false});
  for (const char* key : {"bias_initializer", "beta_initializer", "moving_mean_initializer"})
    expect_initializer(key, "zeros");
  for (const char* key : {"gamma_initializer", "moving_variance_initializer"})
    expect_initializer(key, "ones");
  for (const auto& [key, value] : config_.items()) {
    if (!value.is_null() && !asked_.contains(key)) refuse_value(key, value);
  }
}

}  // namespace bnrun
