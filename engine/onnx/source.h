// What the loader keeps of the file a model came from.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <string>
#include <vector>

namespace bnrun {

/// The default domain has two spellings in files, "" and "ai.onnx"; graphs use the first.
inline std::string normal_domain(const std::string& domain) {
  return domain == "ai.onnx" ? "" : domain;
}

/// The parsed file without the elements that the graph holds. The writer
/// starts from it, so that fields unknown to the engine are kept.
struct OnnxSource {
  onnx::ModelProto model;  ///< without its graph
  onnx::GraphProto graph;
  std::filesystem::path file;                     ///< empty: it was read from memory
  std::vector<std::filesystem::path> data_files;  ///< that its initializers were read from
};

}  // namespace bnrun
