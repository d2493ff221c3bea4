// What models made by bntrain say of the table they were trained on.
#pragma once

#include <string>
#include <vector>

#include "bnrun/model.h"

namespace bnrun::cli {

/// A metadata property that is a JSON array of strings; empty when the model lacks it. Throws invalid_model
/// when it is anything else.
std::vector<std::string> list_property(const Model& model, const std::string& key);

/// Names of the columns that make up the input, in order.
inline std::vector<std::string> features_of(const Model& model) {
  return list_property(model, "bnrun.features");
}

}  // namespace bnrun::cli
