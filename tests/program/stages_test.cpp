#include "program/stages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "bnrun/session.h"
#include "exec/run_plan.h"
#include "passes/prepare.h"
#include "program/compile.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

constexpr auto F32 = DType::float32;
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

/// A convolution that keeps the size of its images.
ValueId conv(GraphBuilder& b, ValueId x, std::int64_t in, std::int64_t out, std::int64_t kernel,
             std::uint32_t seed) {
  const std::int64_t pad = kernel / 2;
  return b.op("Conv",
              {x, random_tensor({out, in, kernel, kernel}, seed, -0.5, 0.5), random_tensor({out}, seed + 1)},
              {{"pads", Ints{pad, pad, pad, pad}}});
}

TEST(Stages, WeightsThatTakeLongerToReadThanToUseMeetManyRowsAtOnce) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 3, 64, 64});
  const auto wide = conv(b, conv(b, x, 3, 32, 3, 1), 32, 32, 3, 2);
  const auto small = b.op("MaxPool", {wide}, {{"kernel_shape", Ints{16, 16}}, {"strides", Ints{16, 16}}});
  b.output(conv(b, conv(b, small, 32, 64, 3, 3), 64, 64, 3, 4));
  const Program program = compile(prepared(b.graph()));

  const Stage* const early_stage = stage_of(program, "(MaxPool)");
  const Stage* const late_stage = &program.stages.back();
  ASSERT_TRUE(early_stage != nullptr && early_stage->blocks && late_stage->blocks);
  EXPECT_NE(early_stage, late_stage);
  EXPECT_EQ(early_stage->blocks->rows, 1) << "what lies between the large images fills the cache";
  EXPECT_EQ(late_stage->blocks->rows, 64);
}

TEST(Stages, WeightsThatStayInCacheEndNoStage) {
  GraphBuilder b;
  const auto x = conv(b, b.input("x", F32, {"N", 3, 64, 64}), 3, 32, 3, 1);
  const auto gate = b.op("Sigmoid", {conv(b, b.op("GlobalAveragePool", {x}), 32, 32, 1, 3)});
  b.output(conv(b, b.op("Mul", {x, gate}), 32, 32, 3, 5));
  const Program program = compile(prepared(b.graph()));
  ASSERT_EQ(program.stages.size(), 1U);
  EXPECT_EQ(program.stages[0].blocks->rows, 1);
}

TEST(Stages, LaterLayersOfResidualNetworksMeetMoreImagesAtOnce) {
  GraphBuilder b;
  auto x = b.input("x", F32, {"N", 128, 28, 28});
  std::uint32_t seed = 1;
  for (const std::int64_t channels : {128, 256, 512}) {
    if (channels > 128) {
      const Tensor W = random_tensor({channels, channels / 2, 3, 3}, seed++);
      x = b.op("Conv", {x, W}, {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
    }
    const auto y = b.op("Relu", {conv(b, x, channels, channels, 3, seed++)});
    x = b.op("Relu", {b.op("Add", {conv(b, y, channels, channels, 3, seed++), x})});
  }
  b.output(x);
  Ints rows;
  for (const Stage& stage : compile(prepared(b.graph())).stages) {
    ASSERT_TRUE(stage.blocks);
    rows.push_back(stage.blocks->rows);
  }
  EXPECT_EQ(rows, (Ints{1, 2, 8}));
}

/// What is computed from x[N,8,6,5].
struct Body {
  std::string name;
  std::function<ValueId(GraphBuilder&, ValueId)> of;
};

const std::vector<Body>& row_wise_bodies() {
  static const std::vector<Body> all = {
      {"residual block, with a convolution on its other path",
       [](GraphBuilder& b, ValueId x) {
         const auto first = b.op("Relu", {conv(b, x, 8, 8, 3, 1)});
         const auto sum = b.op("Relu", {b.op("Add", {conv(b, first, 8, 8, 3, 3), x})});
         return b.op("Relu", {b.op("Add", {conv(b, sum, 8, 4, 1, 5), conv(b, first, 8, 4, 1, 7)})});
       }},
      {"sum of branches that no convolution takes",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Add", {b.op("Tanh", {x}), b.op("Sqrt", {b.op("Abs", {x})})});
       }},
      {"squeeze and excitation",
       [](GraphBuilder& b, ValueId x) {
         const auto y = conv(b, x, 8, 8, 3, 1);
         const auto gate = b.op("Sigmoid", {conv(b, b.op("GlobalAveragePool", {y}), 8, 8, 1, 3)});
         return b.op("Mul", {y, gate});
       }},
      {"densely connected layers",
       [](GraphBuilder& b, ValueId x) {
         const Attributes channels{{"axis", std::int64_t{1}}};
         const auto two = b.op("Concat", {x, b.op("Relu", {conv(b, x, 8, 3, 3, 1)})}, channels);
         return b.op("Concat", {two, x, b.op("Relu", {conv(b, two, 11, 3, 3, 3)})}, channels);
       }},
      {"half of the channels on a path of its own",
       [](GraphBuilder& b, ValueId x) {
         const Attributes channels{{"axis", std::int64_t{1}}};
         const auto parts = b.node("Split", {x}, channels, {"left", "right"});
         return b.op("Concat", {conv(b, parts[1], 4, 4, 3, 1), parts[0]}, channels);
       }},
      {"constants on either side",
       [](GraphBuilder& b, ValueId x) {
         const auto y = b.op("Sub", {random_tensor({8, 1, 1}, 1), x});
         return b.op("Max", {y, x, random_tensor({1, 1, 6, 5}, 2)});
       }},
      {"the greater of two, where it is positive",
       [](GraphBuilder& b, ValueId x) {
         const auto y = b.op("Neg", {x});
         const auto zero = Tensor({}, std::vector<float>{0.0F});
         return b.op("Where", {b.op("Greater", {x, zero}), b.op("Pow", {x, b.op("Abs", {y})}), y});
       }},
  };
  return all;
}

TEST(Stages, StepsOfSeveralInputsWithRowsTakePart) {
  for (const Body& body : row_wise_bodies()) {
    SCOPED_TRACE(body.name);
    GraphBuilder b;
    b.output(body.of(b, b.input("x", F32, {"N", 8, 6, 5})));
    const Program program = compile(prepared(b.graph()));
    ASSERT_EQ(program.stages.size(), 1U);
    ASSERT_TRUE(program.stages[0].blocks);
    const RowBlocks& blocks = *program.stages[0].blocks;
    EXPECT_EQ(blocks.sources.size(), 1U);
    EXPECT_EQ(blocks.results.size(), 1U);
  }
}

TEST(Stages, BitsOfARowDependNeitherOnOtherRowsNorOnTheThreads) {
  constexpr std::int64_t kImage = 8 * 6 * 5;
  for (const Body& body : row_wise_bodies()) {
    GraphBuilder b;
    b.output(body.of(b, b.input("x", F32, {"N", 8, 6, 5})));
    const Model model = b.model();
    const Session plain(model, {.threads = 1});
    const Tensor X = random_tensor({9, 8, 6, 5}, 5, -2, 2);
    std::vector<float> rows;  // each computed alone
    for (std::int64_t n = 0; n < 9; ++n) {
      const Tensor alone(
          {1, 8, 6, 5}, std::vector<float>(X.data<float>() + n * kImage, X.data<float>() + (n + 1) * kImage));
      const Tensor y = plain.run({{"x", alone}})[0].tensor;
      rows.insert(rows.end(), y.data<float>(), y.data<float>() + y.elements());
    }
    for (const int threads : {1, 2, 3}) {
      const Session session(model, {.threads = threads});
      for (std::int64_t batch = 1; batch <= 9; ++batch) {
        const Tensor x({batch, 8, 6, 5},
                       std::vector<float>(X.data<float>(), X.data<float>() + batch * kImage));
        const Tensor y = session.run({{"x", x}})[0].tensor;
        const Tensor expected(y.shape(), std::vector<float>(rows.begin(), rows.begin() + y.elements()));
        EXPECT_TRUE(identical(y, expected))
            << body.name << ", batch " << batch << ", " << threads << " threads";
      }
    }
  }
}

/// Steps that are no part of a stage of rows.
struct Apart {
  std::string name;
  std::function<ValueId(GraphBuilder&, ValueId)> of;  ///< x[N,4], each of whose rows has become its Tanh
};

TEST(Stages, StepsWhoseInputsDoNotAllHaveTheRowsStayOutside) {
  const std::vector<Apart> cases = {
      {"as many columns in another number of rows",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Add", {x, b.input("y", F32, {"M", 4})});
       }},
      {"an unknown number of rows",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Add", {x, b.input("y", F32, {"?", 4})});
       }},
      {"one row for all",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Add", {x, b.input("y", F32, {1, 4})});
       }},
      {"one row for all, first",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Sub", {b.input("y", F32, {1, 4}), x});
       }},
      {"columns without rows",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Mul", {b.input("y", F32, {4}), x});
       }},
      {"rows that become columns",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Max", {x, b.input("y", F32, {"N", 1, 4})});
       }},
      {"a constant with rows of its own",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Mul", {random_tensor({3, 4}, 1), x});
       }},
      {"rows behind one another",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Concat", {x, x}, {{"axis", std::int64_t{0}}});
       }},
      {"a constant beside the rows",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Concat", {random_tensor({3, 2}, 1), x}, {{"axis", std::int64_t{1}}});
       }},
      {"rows apart",
       [](GraphBuilder& b, ValueId x) {
         return b.node("Split", {x}, {{"axis", std::int64_t{0}}}, {"left", "right"})[0];
       }},
      {"a choice by a condition without rows",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Where", {b.input("y", DType::boolean, {4}), x, x});
       }},
  };
  for (const Apart& apart : cases) {
    SCOPED_TRACE(apart.name);
    GraphBuilder b;
    b.output(apart.of(b, b.op("Tanh", {b.input("x", F32, {"N", 4})})));
    const Program program = compile(prepared(b.graph()));
    ASSERT_EQ(program.stages.size(), 2U);
    EXPECT_TRUE(program.stages[0].blocks);
    EXPECT_FALSE(program.stages[1].blocks);
  }
}

TEST(Stages, ASingleRowThatIsReadByAllIsAddedToEach) {
  GraphBuilder b;
  const auto y = b.op("Neg", {b.input("y", F32, {1, 2})});
  b.output(b.op("Add", {b.op("Neg", {b.input("x", F32, {"N", 2})}), y}));
  const Session session(b.model());
  const Tensor x({3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const Tensor one({1, 2}, std::vector<float>{10, 20});
  const Tensor expected({3, 2}, std::vector<float>{-11, -22, -13, -24, -15, -26});
  EXPECT_TRUE(identical(session.run({{"y", one}, {"x", x}})[0].tensor, expected));
}

TEST(Stages, ValuesInsideAStageTakeMemoryForOneBlockAlone) {
  GraphBuilder b;
  auto x = b.input("x", F32, {"N", 8, 96, 96});
  for (std::uint32_t i = 0; i < 4; ++i)
    x = b.op("Relu", {b.op("Add", {conv(b, conv(b, x, 8, 8, 3, 10 * i), 8, 8, 3, 10 * i + 5), x})});
  b.output(x);
  const Program program = compile(prepared(b.graph()));
  const Tensor images(F32, {8, 8, 96, 96});
  const TensorView views[] = {images};
  EXPECT_EQ(plan_run(program, views).arena_bytes, 0U);
  ASSERT_TRUE(program.stages[0].blocks);
  const std::size_t image = sizeof(float) * 8 * 96 * 96;
  EXPECT_EQ(program.stages[0].blocks->rows, 1);
  EXPECT_LE(program.stages[0].blocks->scratch_bytes, 4 * image)
      << "x, the two convolutions, and a conversion";
}

TEST(Stages, AValueThatIsReadAgainLaterIsKeptUntilThen) {
  GraphBuilder b;
  const auto x = b.op("Neg", {b.input("x", F32, {"N", 40})});
  auto y = x;
  for (const char* op : {"Tanh", "Sin", "Cos", "Atan", "Neg", "Abs"}) y = b.op(op, {y});
  b.output(b.op("Add", {y, x}));
  const Program program = compile(prepared(b.graph()));
  ASSERT_EQ(program.stages.size(), 1U);
  const RowBlocks& blocks = *program.stages[0].blocks;
  const auto overlaps_first = [&](const RowValue& value) {
    const RowValue& first = blocks.values[static_cast<std::size_t>(blocks.outputs[0])];
    const auto bytes = static_cast<std::size_t>(blocks.rows) * first.row_bytes;
    return &value != &first && !value.whole && value.offset < first.offset + bytes &&
           first.offset < value.offset + bytes;
  };
  EXPECT_TRUE(std::ranges::none_of(blocks.values, overlaps_first));
}

}  // namespace
}  // namespace bnrun::testing
