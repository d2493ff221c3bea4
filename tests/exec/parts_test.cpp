#include "exec/parts.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "op/evaluate.h"
#include "passes/prepare.h"
#include "program/compile.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;

struct Case {
  std::string name;
  std::function<NodeInput(GraphBuilder&)>
      node;  ///< of inputs with 1 x 40 x 30 x 20 elements, if not said otherwise
  bool in_parts;
};

NodeInput image(GraphBuilder& b, const char* name, const Shape& shape = {1, 40, 30, 20}) {
  return b.input(name, ValueType::of(DType::float32, shape));
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"arithmetic",
       [](GraphBuilder& b) {
         return b.op("Add", {image(b, "x"), image(b, "y")});
       },
       true},
      {"numbers for all positions",
       [](GraphBuilder& b) {
         return b.op("Mul", {image(b, "x"), image(b, "y", {1, 1, 1, 20})});
       },
       true},
      {"fewer axes",
       [](GraphBuilder& b) {
         return b.op("Sub", {image(b, "x"), image(b, "y", {30, 1})});
       },
       true},
      {"rows of the first axis",
       [](GraphBuilder& b) {
         return b.op("Max", {image(b, "x", {5, 40, 200}), image(b, "y", {5, 1, 1})});
       },
       true},
      {"behind the axis that is cut",
       [](GraphBuilder& b) {
         return b.op("Concat", {image(b, "x"), image(b, "y", {1, 40, 30, 7})}, {{"axis", std::int64_t{3}}});
       },
       true},
      {"along the axis that is cut",
       [](GraphBuilder& b) {
         return b.op("Concat", {image(b, "x"), image(b, "y")}, {{"axis", std::int64_t{1}}});
       },
       false},
      {"a map of other channels",
       [](GraphBuilder& b) {
         return b.op("Add", {image(b, "x"), random_tensor({20}, 1)});
       },
       true},
      {"a map of the channels that are cut",
       [](GraphBuilder& b) {
         return b.op("Add", {image(b, "x"), random_tensor({40, 1, 1}, 1)});
       },
       false},
      {"an activation", [](GraphBuilder& b) { return b.op("Sigmoid", {image(b, "x")}); }, true},
      {"few elements",
       [](GraphBuilder& b) {
         return b.op("Sigmoid", {image(b, "x", {1, 40, 30, 2})});
       },
       false},
      {"one position",
       [](GraphBuilder& b) {
         return b.op("Sigmoid", {image(b, "x", {1, 2, 20000})});
       },
       false},
  };
  return all;
}

TEST(RunInParts, ThreadsComputeWhatOneWould) {
  ThreadPool pool(3);
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    GraphBuilder b;
    b.output(std::get<ValueId>(c.node(b)));
    const Program program = compile(prepared(b.graph()));
    ASSERT_EQ(program.stages.size(), 1u);
    const Step& step = program.stages[0].steps[0];
    std::vector<Tensor> tensors;
    std::vector<TensorView> inputs;
    for (const SlotId id : step.inputs) {
      const Tensor& constant = program.constants[static_cast<std::size_t>(id.index)];
      tensors.push_back(constant);
      for (const auto& port : program.inputs) {
        if (port.slot == id)
          tensors.back() = random_tensor(port.type.shape(), 7 + static_cast<std::uint32_t>(tensors.size()));
      }
      inputs.push_back(tensors.back());
    }
    const bool wanted[] = {true};
    const Tensor expected = evaluate(*step.op, inputs, wanted)[0];
    Tensor actual(expected.dtype(), expected.shape());
    std::vector<PartInputs> of_threads(3);
    EXPECT_EQ(run_in_parts(step, inputs, actual.mutable_view(), pool, of_threads), c.in_parts);
    if (c.in_parts) {
      EXPECT_EQ(std::memcmp(actual.data<float>(), expected.data<float>(), expected.bytes()), 0);
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
