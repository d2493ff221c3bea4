#include "common/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bnrun/error.h"

namespace bnrun::cli {
namespace {

bool is_list(const nlohmann::json& json) {
  const auto is_string = [](const nlohmann::json& item) { return item.is_string(); };
  return json.is_array() && std::all_of(json.begin(), json.end(), is_string);
}

/// Null when the model has no property of this name.
nlohmann::json property(const Model& model, const std::string& key) {
  const auto& properties = model.metadata().properties;
  const auto found = properties.find(key);
  if (found == properties.end()) return {};
  return nlohmann::json::parse(found->second, nullptr, false);
}

}  // namespace

std::vector<std::string> list_property(const Model& model, const std::string& key) {
  const auto json = property(model, key);
  if (json.is_null()) return {};
  if (!is_list(json))
    throw Error(ErrorCode::invalid_model, fmt::format("metadata '{}' is not a JSON array of strings", key));
  return json.get<std::vector<std::string>>();
}

std::map<std::string, std::vector<std::string>> columns_of(const Model& model) {
  std::map<std::string, std::vector<std::string>> columns;
  const auto json = property(model, "bnrun.columns");
  if (json.is_null()) {
    const auto features = features_of(model);
    const auto inputs = model.inputs();
    if (!features.empty() && !inputs.empty()) columns[inputs[0].name] = features;
    return columns;
  }
  if (!json.is_object() || !std::all_of(json.begin(), json.end(), is_list))
    throw Error(ErrorCode::invalid_model,
                "metadata 'bnrun.columns' is not a JSON object of arrays of strings");
  for (const auto& [input, names] : json.items()) columns[input] = names.get<std::vector<std::string>>();
  return columns;
}

}  // namespace bnrun::cli
