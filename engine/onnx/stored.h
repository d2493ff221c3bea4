// Elements that stay in the model's file until they are read where they belong.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/input_file.h"

namespace bnrun {

struct StoredBytes {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// A serialised ModelProto without the raw_data of large initializers of its graph.
struct SplitModel {
  std::string message;
  std::map<int, StoredBytes> raw_data;  ///< what was left out, by the initializer's number
};

/// Goes through a regular file without holding it. Returns nullopt for what is better parsed as a whole: a file
/// without large initializers, one with much else, a damaged one, and one that says things twice. Throws io.
std::optional<SplitModel> split_model(const InputFile& file);

}  // namespace bnrun
