// Models through their files.
#include <gtest/gtest.h>

#include <filesystem>

#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

TEST(ModelFile, AnInputWithADefaultKeepsItsPlaceAmongTheInputs) {
  GraphBuilder b(13);
  const ValueId scale = b.constant(Tensor({2}, std::vector<float>{1, 2}), "scale", true);
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  b.output(b.op("Mul", {x, scale}));
  const auto file = std::filesystem::temp_directory_path() / "an_input_with_a_default.onnx";
  b.model().save(file);
  const auto inputs = Model::load(file).inputs();
  std::filesystem::remove(file);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].name, "scale");
  EXPECT_TRUE(inputs[0].optional);
  EXPECT_EQ(inputs[1].name, "x");
  EXPECT_FALSE(inputs[1].optional);
}

}  // namespace
}  // namespace bnrun::testing
