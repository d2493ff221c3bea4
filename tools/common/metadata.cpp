#include "common/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bnrun/error.h"

namespace bnrun::cli {

std::vector<std::string> list_property(const Model& model, const std::string& key) {
  const auto& properties = model.metadata().properties;
  const auto found = properties.find(key);
  if (found == properties.end()) return {};
  const auto json = nlohmann::json::parse(found->second, nullptr, false);
  const auto is_string = [](const nlohmann::json& item) { return item.is_string(); };
  if (!json.is_array() || !std::all_of(json.begin(), json.end(), is_string)) {
    throw Error(ErrorCode::invalid_model, fmt::format("metadata '{}' is not a JSON array of strings", key));
  }
  return json.get<std::vector<std::string>>();
}

}  // namespace bnrun::cli
