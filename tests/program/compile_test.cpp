// Which steps and stages a program is made of.
#include "program/compile.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "bnrun/error.h"
#include "support/expect_error.h"
#include "support/session_testing.h"

namespace bnrun::testing {
namespace {

TEST(Compile, DenseChainIsOneStageAndEveryLayerOneStep) {
  const Program program = compile(prepared(graph_of(classifier())));
  ASSERT_EQ(program.stages.size(), 1U);
  ASSERT_TRUE(program.stages[0].blocks);
  EXPECT_EQ(program.stages[0].steps.size(), 4U);  // three dense layers and Softmax
  EXPECT_EQ(program.stages[0].steps[0].where, "node 'Gemm_0' (Gemm) + BatchNormalization + Relu");
  for (const Tensor& constant : program.constants) EXPECT_FALSE(constant.defined());
}

TEST(Compile, AMapBehindAnActivationThatStaysInRegistersIsPartOfTheLayer) {
  struct Case {
    const char* activation;
    std::size_t steps;
  };
  for (const auto& [activation, steps] : {Case{"Relu", 1}, Case{"LeakyRelu", 1}, Case{"Sigmoid", 2}}) {
    SCOPED_TRACE(activation);
    GraphBuilder b;
    const auto h = b.op(activation, {dense(b, b.input("x", F32, {"N", 6}), 6, 37, 1)});
    b.output(batch_normalization(b, h, 37, 2));
    const Model model = b.model();
    const Program program = compile(prepared(graph_of(model)));
    ASSERT_EQ(program.stages.size(), 1U);
    EXPECT_EQ(program.stages[0].steps.size(), steps);
    expect_like_interpret(model, {{"x", random_tensor({29, 6}, 3)}});
  }
}

struct Factors {
  float alpha;
  float beta;
  std::optional<Shape> C;
  bool packed = true;
  std::int64_t transB = 0;
};

/// y = Gemm(x, W, C) with these factors of 6 columns and 37.
Model product_with(const Factors& f, DType dtype, bool normalised = false) {
  GraphBuilder b;
  std::vector<NodeInput> inputs{b.input("x", dtype, {"N", 6}),
                                random_tensor(dtype, f.transB != 0 ? Shape{37, 6} : Shape{6, 37}, 1)};
  if (f.C) inputs.emplace_back(random_tensor(dtype, *f.C, 2));
  auto y = b.op("Gemm", inputs, {{"alpha", f.alpha}, {"beta", f.beta}, {"transB", f.transB}});
  if (normalised) y = batch_normalization(b, y, 37, 3);
  b.output(y);
  return b.model();
}

TEST(Compile, FactorsOfAProductArePartOfItsLayer) {
  const Tensor wide = random_tensor(DType::float64, {64, 6}, 7);
  for (const Factors& f :
       {Factors{0.5F, 2.0F, Shape{37}}, Factors{-1.7F, 1.0F, std::nullopt}, Factors{1.0F, 0.3F, Shape{}},
        Factors{3.1F, -0.7F, Shape{1, 37}, true, 1}, Factors{2.0F, 0.0F, Shape{37}},
        // a product of NaN and 0, a scale that loses digits, a bias that is none for each column
        Factors{0.0F, 1.0F, Shape{37}, false}, Factors{1e-40F, 1.0F, std::nullopt, false},
        Factors{0.5F, 2.0F, Shape{1, 1}}, Factors{0.5F, 1.0F, Shape{64, 1}, false}}) {
    for (const DType dtype : {DType::float32, DType::float64}) {
      if (dtype == DType::float64 && f.alpha == 1e-40F) continue;  // digits enough
      SCOPED_TRACE(::testing::Message() << f.alpha << " " << f.beta << " " << name_of(dtype));
      const Model model = product_with(f, dtype);
      const Program program = compile(prepared(graph_of(model)));
      ASSERT_EQ(program.stages.size(), 1U);
      ASSERT_EQ(program.stages[0].steps.size(), 1U);
      EXPECT_EQ(program.stages[0].steps[0].kernel, f.packed ? "dense, packed" : "operator");
      const Tensor X = convert(wide.view(), dtype);
      expect_like_interpret(model, {{"x", X}});
      if (!f.packed) continue;
      const Tensor all = Session(model, {.threads = 3}).run({{"x", X}})[0].tensor;
      const std::size_t in = X.bytes() / 64;
      const std::size_t out = all.bytes() / 64;
      for (std::size_t row = 0; row < 64; ++row) {
        Tensor x(dtype, {1, 6});
        std::memcpy(x.mutable_view().bytes, static_cast<const std::byte*>(X.view().bytes) + row * in, in);
        const Tensor y = Session(model).run({{"x", x}})[0].tensor;
        EXPECT_EQ(
            std::memcmp(y.view().bytes, static_cast<const std::byte*>(all.view().bytes) + row * out, out), 0);
      }
    }
  }
}

TEST(Compile, AMapBehindAProductWithFactorsIsPartOfTheLayer) {
  const Model model = product_with({0.5F, 2.0F, Shape{37}}, F32, true);
  const Program program = compile(prepared(graph_of(model)));
  ASSERT_EQ(program.stages.size(), 1U);
  ASSERT_EQ(program.stages[0].steps.size(), 1U);
  EXPECT_EQ(program.stages[0].steps[0].where, "node 'Gemm_0' (Gemm) + BatchNormalization");
  expect_like_interpret(model, {{"x", random_tensor({29, 6}, 3)}});
}

TEST(Compile, AWeightThatALayerAndAnotherOperatorReadServesBoth) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 6});
  const auto W = b.constant(random_tensor({6, 6}, 1), "W");
  const auto twice = b.op("MatMul", {b.op("Relu", {b.op("MatMul", {x, W})}), W});
  const auto given = b.input("z", F32, {6, 6});
  b.output(b.op("Add", {twice, b.op("MatMul", {x, b.op("Max", {given, W})})}));
  expect_like_interpret(b.model(), {{"x", random_tensor({4, 6}, 3)}, {"z", random_tensor({6, 6}, 4)}});
}

TEST(Compile, AValueReadElsewhereIsNotFusedAway) {
  GraphBuilder b;
  const auto h = dense(b, b.input("x", F32, {"N", 6}), 6, 4, 1);
  b.output(b.op("Relu", {h}));
  b.output(h);
  const Program program = compile(prepared(b.graph()));
  ASSERT_EQ(program.stages.size(), 1U);
  EXPECT_EQ(program.stages[0].steps.size(), 2U);
}

TEST(Compile, ScratchDoesNotGrowWithTheModelsDepth) {
  const auto scratch_of = [](int layers) {
    GraphBuilder b;
    auto h = b.input("x", F32, {"N", 16});
    for (int i = 0; i < layers; ++i) h = b.op("Relu", {dense(b, h, 16, 16, 1)});
    b.output(h);
    return compile(prepared(b.graph())).stages.at(0).blocks->scratch_bytes;
  };
  EXPECT_EQ(scratch_of(1), 0U);
  EXPECT_EQ(scratch_of(4), scratch_of(20));
}

TEST(Compile, UnknownOperatorIsUnsupportedAndNamed) {
  GraphBuilder b;
  b.output(b.op("Frobnicate", {b.input("x", F32, {"N", 2})}));
  const auto text = expect_error(ErrorCode::unsupported, [&] { Session{b.model()}; });
  EXPECT_NE(text.find("Frobnicate"), std::string::npos) << text;
}

/// Extents that the data tell are known in the middle of a run alone.
TEST(Compile, ExtentsThatDataTellAreCheckedWhereTheyMeetOthers) {
  using Ints = std::vector<std::int64_t>;
  const struct {
    const char* name;
    std::function<ValueId(GraphBuilder&, ValueId)> reader;  ///< of 4 channels
  } cases[] = {
      {"Conv",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Conv", {x, random_tensor({2, 4, 1, 1}, 1)});
       }},
      {"depthwise",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Conv", {x, random_tensor({4, 1, 1, 1}, 1)}, {{"group", std::int64_t{4}}});
       }},
      {"gathering",
       [](GraphBuilder& b, ValueId x) {
         const auto joined = b.op("Concat", {x, x}, {{"axis", std::int64_t{1}}});
         return b.op("Conv", {joined, random_tensor({2, 8, 1, 1}, 1)});
       }},
      {"Concat",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Concat", {x, random_tensor({1, 4, 2, 5}, 1)}, {{"axis", std::int64_t{3}}});
       }},
      {"Add",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Add", {x, random_tensor({4, 1, 1}, 1)});
       }},
      {"MatMul",
       [](GraphBuilder& b, ValueId x) {
         const auto last = b.op("Transpose", {x}, {{"perm", Ints{0, 2, 3, 1}}});
         return b.op("MatMul", {last, random_tensor({4, 3}, 1)});
       }},
      {"Reshape",
       [](GraphBuilder& b, ValueId x) {
         return b.op("Reshape", {x, Tensor({2}, Ints{0, 16})});
       }},
  };
  for (const auto& c : cases) {
    GraphBuilder b;
    const auto x = b.input("x", DType::float32, {1, 40, 2, 2});
    const auto end = b.input("end", DType::int64, {1});
    const auto some = b.op("Slice", {x, Tensor({1}, Ints{0}), end, Tensor({1}, Ints{1})});
    b.output(b.op("Neg", {c.reader(b, some)}));
    const Tensor X = random_tensor({1, 40, 2, 2}, 3);
    const Session packed(b.model());
    const Session blas(b.model(), {.kernels = Kernels::blas});
    const auto run = [&](const Session& session, std::int64_t channels) {
      return session.run({{"x", X}, {"end", Tensor({1}, Ints{channels})}})[0].tensor;
    };
    SCOPED_TRACE(c.name);
    expect_close(run(packed, 4), run(blas, 4), 1e-5, 1e-5);
    for (const std::int64_t channels : {0, 2, 3, 5, 40}) {
      EXPECT_THROW(run(packed, channels), Error) << channels;
      EXPECT_THROW(run(blas, channels), Error) << channels;
    }
    expect_close(run(packed, 4), run(blas, 4), 1e-5, 1e-5);
  }
}

}  // namespace
}  // namespace bnrun::testing
