#include "program/stages.h"

#include <gtest/gtest.h>

#include "passes/prepare.h"
#include "program/compile.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

using Ints = std::vector<std::int64_t>;

/// The stage that has the step which `where` names.
const Stage* stage_of(const Program& program, const std::string& where) {
  for (const Stage& stage : program.stages) {
    for (const Step& step : stage.steps) {
      if (step.where.find(where) != std::string::npos) return &stage;
    }
  }
  return nullptr;
}

TEST(Stages, WeightsThatTakeLongerToReadThanToUseMeetManyRowsAtOnce) {
  GraphBuilder b;
  const Attributes same{{"pads", Ints{1, 1, 1, 1}}};
  const auto x = b.input("x", DType::float32, {"N", 3, 64, 64});
  const auto wide = b.op(
      "Conv", {b.op("Conv", {x, random_tensor({32, 3, 3, 3}, 1)}, same), random_tensor({32, 32, 3, 3}, 2)},
      same);
  const auto small = b.op("MaxPool", {wide}, {{"kernel_shape", Ints{16, 16}}, {"strides", Ints{16, 16}}});
  const auto late = b.op("Conv", {small, random_tensor({48, 32, 3, 3}, 3)}, same);
  b.output(b.op("Conv", {late, random_tensor({48, 48, 3, 3}, 4)}, same));
  const Program program = compile(prepared(b.graph()));

  const Stage* const early_stage = stage_of(program, "(MaxPool)");
  const Stage* const late_stage = &program.stages.back();
  ASSERT_TRUE(early_stage != nullptr && early_stage->blocks && late_stage->blocks);
  EXPECT_NE(early_stage, late_stage);
  EXPECT_EQ(early_stage->blocks->rows, 1) << "what lies between the large images fills the cache";
  EXPECT_EQ(late_stage->blocks->rows, 64);
}

}  // namespace
}  // namespace bnrun::testing
