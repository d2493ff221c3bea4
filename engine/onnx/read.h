// Reading .onnx files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "bnrun/model.h"
#include "graph/graph.h"

namespace bnrun {

struct OnnxSource;

/// What an .onnx file holds.
struct OnnxModel {
  Graph graph;
  ModelMetadata metadata;
  std::shared_ptr<const OnnxSource> source;  ///< for write_model, which keeps what the graph does not hold
};

/// Called with each graph as soon as it is read: with a subgraph before the graph around it. Values have the
/// types that the file declares.
using GraphReadHook = std::function<void(Graph&)>;

/// See Model::load.
OnnxModel read_model(const std::filesystem::path& path, const GraphReadHook& on_graph);
/// See Model::parse.
OnnxModel parse_model(std::span<const std::byte> bytes, const std::filesystem::path& folder,
                      const GraphReadHook& on_graph);

}  // namespace bnrun
