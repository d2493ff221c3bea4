// A random network while it is being written: what its pieces (random_pieces.h) draw from and add to.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/graph_building.h"
#include "support/random_graph.h"
#include "support/random_numbers.h"

namespace bnrun::testing {

using Ints = std::vector<std::int64_t>;

constexpr std::int64_t kMaxChannels = 6;
constexpr std::int64_t kMaxExtent = 5;
constexpr std::size_t kMaxRank = 4;

/// A value that depends on the data, and its shape for the batch that will be run.
struct Flow {
  ValueId id;
  Shape shape;

  std::size_t rank() const { return shape.rank(); }
  std::int64_t channels() const { return shape[1]; }
};
using Flows = std::vector<Flow>;

class Sketch {
 public:
  /// Opset, element type, batch and the input `x` depend on the seed.
  explicit Sketch(std::uint64_t seed);

  /// Whatever is drawn from now on depends on the seed and on `step` alone.
  void begin_step(std::uint32_t step) { random = Random(seed_, step); }
  /// Nodes are called "kind/..." from now on.
  void begin_piece(std::string_view kind) { b_.prefix = std::string(kind) + "/"; }

  std::int64_t opset() const { return opset_; }
  DType dtype() const { return dtype_; }
  /// The batch size is a symbol.
  bool dynamic() const { return dynamic_; }
  /// Before opset 7 nothing is stretched unless an attribute says so.
  bool old() const { return opset_ < 7; }

  // ------------------------------------------------------------ constants and parameters
  Tensor tensor(const Shape& shape, const std::function<double()>& element);
  Tensor uniform(const Shape& shape, double low, double high);
  Tensor gamma(const Shape& shape);     ///< scales of every kind: of either sign, zero, tiny
  Tensor variance(const Shape& shape);  ///< not negative, at times zero
  Tensor offset(const Shape& shape);    ///< means and shifts
  static Tensor ints(const Ints& values) { return {{static_cast<std::int64_t>(values.size())}, values}; }

  /// Mostly an initializer, sometimes behind operators on constants, sometimes not constant.
  ValueId parameter(const Tensor& value);
  /// A parameter, at times that of an earlier layer.
  ValueId weights(const Shape& shape);
  /// Of a value or of a constant.
  const Shape& shape_of(ValueId id) const {
    const auto known = shapes_.find(id);
    return known != shapes_.end() ? known->second : b_.graph().value(id).constant.shape();
  }
  /// An input of the graph with these elements.
  ValueId input(std::string name, const Tensor& value, Dims dims);

  // ------------------------------------------------------------ nodes
  /// Adds a node and asks its operator for the shapes of the results.
  Flows ops(const std::string& op_type, const std::vector<NodeInput>& inputs, Attributes attributes,
            std::size_t outputs);
  Flow op(const std::string& op_type, const std::vector<NodeInput>& inputs, Attributes attributes = {}) {
    return ops(op_type, inputs, std::move(attributes), 1)[0];
  }
  Flow op(const std::string& op_type, const Flow& x, Attributes attributes = {}) {
    return op(op_type, std::vector<NodeInput>{x.id}, std::move(attributes));
  }
  /// The same where the shape of the result, which depends on elements, is given.
  Flow op_of_shape(const std::string& op_type, const std::vector<NodeInput>& inputs, Attributes attributes,
                   const Shape& shape);
  /// The same with axes, which became an input at opset `since`.
  Flow with_axes(const char* op_type, const Flow& x, const Ints& axes, std::int64_t since,
                 Attributes attributes = {});
  /// x op c, or c op x where the opset can say so.
  Flow binary(const std::string& op_type, const Flow& x, const NodeInput& c, const Shape& c_shape,
              bool constant_first = false);
  Flow binary(const std::string& op_type, const Flow& x, const Tensor& c, bool constant_first = false) {
    return binary(op_type, x, parameter(c), c.shape(), constant_first);
  }
  /// Makes a result of a node an output of the graph.
  void declare_output(const Flow& flow);

  RandomNetwork finish();

  Random random;
  Flows flows;  ///< what later pieces may read

 private:
  Flow data_input();

  std::uint64_t seed_;
  GraphBuilder b_;
  std::int64_t opset_ = 0;
  DType dtype_ = DType::float32;
  std::int64_t rows_ = 0;
  bool dynamic_ = false;
  std::vector<std::pair<Shape, ValueId>> weights_;
  std::map<ValueId, Shape> shapes_;  ///< of everything that nodes read and write but constants
  std::map<ValueId, Tensor> data_;   ///< of the graph's inputs
};

}  // namespace bnrun::testing
