// Model: an ONNX model in memory, read from and written to .onnx files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bnrun/export.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// A dimension of an input or output: a number, or the name of a dynamic one ("?" when it has none).
struct DimInfo {
  std::optional<std::int64_t> extent;
  std::string symbol;
};

struct PortInfo {
  std::string name;
  DType dtype = DType::undefined;
  std::optional<std::vector<DimInfo>> dims;  ///< absent: unknown rank
  bool optional = false;                     ///< an input with a default value (overridable initializer)
  /// Of an output that is a sequence of maps in ONNX (ZipMap) and a tensor [N, labels] here: what the columns
  /// are called, strings or int64. Of an input that a node reads as categories (OneHotEncoder, LabelEncoder): those
  /// that the node knows. Undefined for any other.
  Tensor labels;
};

/// Metadata of the file, which folding keeps.
struct ModelMetadata {
  std::int64_t ir_version = 8;
  std::string producer_name;
  std::string producer_version;
  std::string doc_string;
  std::map<std::string, std::string> properties;  ///< metadata_props
  std::string domain;
  std::int64_t model_version = 0;
  std::string graph_name;
};

/// When to store tensors in a file beside the model.
enum class ExternalData {
  automatic,  ///< when the model was read with external data, or would pass protobuf's 2 GiB limit
  never,
  always,
};

/// A model: metadata and a graph. Copyable (constants are shared); const use is thread-safe.
class BNRUN_API Model {
 public:
  Model(const Model& other);
  Model(Model&&) noexcept;
  Model& operator=(Model other) noexcept;
  ~Model();

  /// Reads an .onnx file; relative external data is looked up in its folder and nowhere else.
  /// Throws io, invalid_model, unsupported or resource_limit; messages name the file.
  static Model load(const std::filesystem::path& path);
  /// Reads a model from memory; `folder` is where its external data lies (empty: it may have none).
  static Model parse(std::span<const std::byte> bytes, const std::filesystem::path& folder = {});
  /// Reads what is left of a stream. Throws io when the stream fails, else as `parse`.
  static Model read(std::istream& stream, const std::filesystem::path& folder = {});
  /// Writes the model to a temporary file next to the target and
  /// renames it, so that the target is never left half-written.
  void save(const std::filesystem::path& path, ExternalData external_data = ExternalData::automatic) const;
  /// Writes the model, all weights in it, to a stream. Throws resource_limit beyond protobuf's 2 GiB; other
  /// failures show in the stream's state.
  void write(std::ostream& stream) const;

  std::vector<PortInfo> inputs() const;
  std::vector<PortInfo> outputs() const;
  const ModelMetadata& metadata() const;
  ModelMetadata& metadata();
  /// What the classes of a classifier are called, in the order of its columns: the labels of an output (see
  /// PortInfo), else the property "bnrun.classes". Empty when the model does not say.
  std::vector<std::string> class_names() const;

 private:
  struct State;
  friend struct ModelAccess;
  explicit Model(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace bnrun
