// Writing .onnx files.
#pragma once

#include <filesystem>
#include <iosfwd>

#include "bnrun/model.h"
#include "graph/graph.h"

namespace bnrun {

struct OnnxSource;

/// See Model::save. `source`: what the graph was read from, or nullptr.
void write_model(const Graph& graph, const ModelMetadata& metadata, const OnnxSource* source,
                 const std::filesystem::path& path, ExternalData external_data);
/// See Model::write.
void write_model(const Graph& graph, const ModelMetadata& metadata, const OnnxSource* source,
                 std::ostream& stream);

}  // namespace bnrun
