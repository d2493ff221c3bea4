// What models made by bntrain say of the table they were trained on.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bnrun/model.h"

namespace bnrun::cli {

/// A metadata property that is a JSON array of strings; empty when the model lacks it. Throws invalid_model
/// when it is anything else.
std::vector<std::string> list_property(const Model& model, const std::string& key);

/// Names of the columns it was trained on, in the order of the table.
inline std::vector<std::string> features_of(const Model& model) {
  return list_property(model, "bnrun.features");
}

/// Which of these columns make up which input, in order; empty when the model does not say. Throws
/// invalid_model when it says so in another form.
std::map<std::string, std::vector<std::string>> columns_of(const Model& model);

}  // namespace bnrun::cli
