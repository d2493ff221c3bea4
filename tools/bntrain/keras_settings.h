// The settings of a layer as Keras writes them: each is asked for, or must say what this trainer does anyway.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bnrun/train.h"

namespace bnrun {

/// The JSON of an untrusted text. Throws invalid_input where it is none, or nested beyond all sense.
nlohmann::json parse_json(const std::string& text, const std::string& file);

/// Everything here throws invalid_input naming file, layer and setting where a value is not of its type or
/// nothing that is known here. null says nothing, as in Keras.
class KerasSettings {
 public:
  KerasSettings(const nlohmann::json& layer, std::string file);
  KerasSettings(std::string kind, const nlohmann::json& config, std::string file);

  const std::string& kind() const { return kind_; }  ///< "Dense"
  const std::string& name() const { return name_; }

  [[noreturn]] void refuse(const std::string& what) const;

  /// Null where it is not given.
  const nlohmann::json* find(const std::string& key);
  std::int64_t whole(const std::string& key);
  double number(const std::string& key, double otherwise);
  bool flag(const std::string& key, bool otherwise);
  std::string word(const std::string& key, const std::string& otherwise);
  /// The first of these that is given.
  double number_of(std::initializer_list<const char*> keys, double otherwise);
  /// A number or two.
  train::Size2D size(const std::string& key, const std::optional<train::Size2D>& otherwise);
  train::Padding padding();
  /// The name of a function or of a class, and its own settings.
  std::pair<std::string, nlohmann::json> object(const std::string& key, const std::string& otherwise);
  /// "kernel_initializer" and what stands in it.
  void initializer(train::Initializer& initializer, double& scale);
  /// Its value must be one of these, or not given.
  void expect(const std::string& key, std::initializer_list<nlohmann::json> known);
  /// Refuses what nobody asked for, but for what says nothing.
  void end();

 private:
  [[noreturn]] void refuse_value(const std::string& key, const nlohmann::json& value) const;
  void expect_initializer(const std::string& key, const std::string& known);
  void check_type();

  std::string kind_;
  nlohmann::json config_;
  std::string file_;
  std::string name_;
  std::set<std::string> asked_;
};

/// "GlorotUniform" is "glorot_uniform".
std::string snake_case(const std::string& name);

}  // namespace bnrun
