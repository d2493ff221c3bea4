// Sessions against `interpret`: fused, blocked and threaded runs must compute what the operators compute.
#include "bnrun/session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

#include "bnrun/error.h"
#include "op/shape_rules.h"
#include "program/compile.h"
#include "support/allocation_counter.h"
#include "support/expect_error.h"
#include "support/session_testing.h"

namespace bnrun::testing {
namespace {

// ---------------------------------------------------------------- what is computed

TEST(Session, ClassifierAtManyBatchSizes) {
  const Model model = classifier();
  for (const std::int64_t rows : {0, 1, 2, 63, 64, 65, 200}) {
    SCOPED_TRACE(rows);
    expect_like_interpret(model, {{"x", random_tensor({rows, 64}, 3, -3, 3)}});
  }
}

TEST(Session, MatMulAddBatchNormalizationInDouble) {
  GraphBuilder b;
  const auto x = b.input("x", DType::float64, {"N", 7});
  auto h = b.op("MatMul", {x, random_tensor<double>({7, 5}, 1)});
  h = b.op("Add", {h, random_tensor<double>({5}, 2)});
  h = b.op("BatchNormalization", {h, random_tensor<double>({5}, 3, 0.5, 2), random_tensor<double>({5}, 4),
                                  random_tensor<double>({5}, 5), random_tensor<double>({5}, 6, 0.2, 3)});
  b.output(b.op("Tanh", {h}));
  expect_like_interpret(b.model(), {{"x", random_tensor<double>({9, 7}, 7)}});
}

TEST(Session, BatchNormalizationAloneAtTheStart) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 3, 4, 5});
  b.output(b.op("Relu", {batch_normalization(b, x, 3, 1)}));
  expect_like_interpret(b.model(), {{"x", random_tensor({70, 3, 4, 5}, 2, -4, 4)}});
}

TEST(Session, ActivationBetweenDenseAndBatchNormalization) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 6});
  const auto h = batch_normalization(b, b.op("Tanh", {dense(b, x, 6, 4, 1)}), 4, 3);
  b.output(b.op("LeakyRelu", {h}, {{"alpha", 0.2F}}));
  expect_like_interpret(b.model(), {{"x", random_tensor({5, 6}, 2)}});
}

TEST(Session, ValuesWithSeveralReadersAndOutputsInsideAStage) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 6});
  const auto h = dense(b, x, 6, 4, 1);
  const auto r = b.op("Relu", {h});
  b.output(h);
  b.output(dense(b, r, 4, 3, 5));
  b.output(dense(b, r, 4, 2, 9));
  b.output(b.op("Add", {h, r}));
  expect_like_interpret(b.model(), {{"x", random_tensor({130, 6}, 2)}});
}

TEST(Session, RankThreeRowsAreTheLeadingAxes) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 3, 6});
  b.output(
      b.op("Relu", {b.op("Add", {b.op("MatMul", {x, random_tensor({6, 5}, 1)}), random_tensor({5}, 2)})}));
  expect_like_interpret(b.model(), {{"x", random_tensor({70, 3, 6}, 2)}});
}

TEST(Session, UnknownDimensionsRunOperatorByOperator) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"?", "?"});
  b.output(b.op("Relu", {dense(b, x, 6, 4, 1)}));
  expect_like_interpret(b.model(), {{"x", random_tensor({70, 6}, 2)}});
}

/// The bias of channel 0 was taken for all channels where the rank of the data is unknown.
TEST(Session, ALayerWhoseInputHasAnUnknownRankKeepsItsBias) {
  GraphBuilder b;
  const ValueId x = b.input("x", F32, {"N", 4});
  const ValueId shape = b.input("shape", DType::int64, {"?"});
  const ValueId h = dense(b, b.op("Reshape", {x, shape}), 4, 3, 5);
  b.output(b.op("Tanh", {b.op("Add", {h, random_tensor({1, 3}, 9)})}));
  expect_like_interpret(
      b.model(), {{"x", random_tensor({2, 4}, 11)}, {"shape", Tensor({2}, std::vector<std::int64_t>{2, 4})}});
}

TEST(Session, ShapeThatDependsOnDataIsAllocated) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 6});
  const auto shape = b.input("shape", DType::int64, {2});
  const auto h = b.op("Reshape", {x, shape});
  b.output(dense(b, h, 4, 3, 1));
  const Model model = b.model();
  const std::vector<NamedTensor> inputs = {{"x", random_tensor({10, 6}, 2)},
                                           {"shape", Tensor({2}, std::vector<std::int64_t>{-1, 4})}};
  expect_like_interpret(model, inputs);
  const Session session(model);
  const TensorView views[] = {inputs[0].tensor, inputs[1].tensor};
  expect_error(ErrorCode::unsupported, [&] { session.output_types(views); });
}

/// Shape, Gather, arithmetic and Concat of what follows from the shapes of the inputs.
TEST(Session, ShapeThatDependsOnShapesOnlyIsKnownBeforeTheRun) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", "T", 6});
  const auto list = [](std::vector<std::int64_t> values) {
    return Tensor({static_cast<std::int64_t>(values.size())}, values);
  };
  const auto shape = b.op("Shape", {x});
  const auto rows = b.op("Mul", {b.op("Gather", {shape, list({0})}), b.op("Gather", {shape, list({1})})});
  const auto half = b.op("Cast",
                         {b.op("Floor", {b.op("Mul", {b.op("Cast", {rows}, {{"to", std::int64_t{1}}}),
                                                      Tensor({1}, std::vector<float>{0.5F})})})},
                         {{"to", std::int64_t{7}}});
  const auto target = b.op("Concat", {half, list({2, 6})}, {{"axis", std::int64_t{0}}});
  b.output(b.op("MatMul", {b.op("Reshape", {x, target}), random_tensor({6, 3}, 1)}));
  b.output(rows);
  const Model model = b.model();
  const Tensor X = random_tensor({2, 5, 6}, 2);
  expect_like_interpret(model, {{"x", X}});
  const Session session(model);
  const TensorView views[] = {X};
  const auto types = session.output_types(views);
  EXPECT_EQ(types[0].shape, (Shape{5, 2, 3}));
  EXPECT_EQ(types[1].shape, (Shape{1}));
}

TEST(Session, OutputsThatAreInputsConstantsOrNamedTwice) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 2});
  const auto y = b.op("Relu", {x});
  b.output(x);
  b.output(y);
  b.output(b.constant(random_tensor({3}, 1)));
  b.output(y);
  const Model model = b.model();
  const Tensor X = random_tensor({4, 2}, 2);
  expect_like_interpret(model, {{"x", X}});

  const Session session(model);
  const TensorView inputs[] = {X};
  std::vector<Tensor> outputs;
  std::vector<MutableTensorView> views;
  for (const TensorType& type : session.output_types(inputs)) outputs.emplace_back(type);
  for (Tensor& output : outputs) views.push_back(output.mutable_view());
  session.run(inputs, views);
  const auto expected = interpret(graph_of(model), inputs);
  for (std::size_t i = 0; i < outputs.size(); ++i) expect_close(outputs[i], expected[i], 1e-5, 1e-6);
}

TEST(Session, OverridableInitializerKeepsItsDefaultUnlessGiven) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 2});
  const auto bias = b.constant(Tensor({2}, std::vector<float>{1, 2}), "bias", true);
  b.output(b.op("Add", {x, bias}));
  const Tensor X({1, 2}, std::vector<float>{10, 20});
  expect_like_interpret(b.model(), {{"x", X}});
  expect_like_interpret(b.model(), {{"x", X}, {"bias", Tensor({2}, std::vector<float>{5, 6})}});
}

TEST(Session, AnOverridableInitializerThatNobodyReadsMayBeLeftOut) {
  GraphBuilder b;
  const ValueId x = b.input("x", DType::float32, {"N", 2});
  const ValueId C = b.constant(random_tensor({2}, 2), "C", true);
  b.output(b.op("Gemm", {x, random_tensor({2, 2}, 1), C}, {{"beta", 0.0F}}));
  b.output(b.op("Relu", {x}));
  const Tensor rows = random_tensor({3, 2}, 3);
  EXPECT_EQ(Session(b.model()).run(std::vector<NamedTensor>{{"x", rows}}).size(), 2U);
  GraphBuilder unread;
  unread.constant(random_tensor({2}, 2), "C", true);
  unread.output(unread.op("Relu", {unread.input("x", DType::float32, {"N", 2})}));
  EXPECT_EQ(Session(unread.model()).run(std::vector<NamedTensor>{{"x", rows}}).size(), 1U);
}

TEST(Session, NanPassesThroughFusedRelu) {
  Tensor X = random_tensor({3, 64}, 1);
  X.mutable_data<float>()[64] = NAN;
  GraphBuilder b;
  b.output(b.op("Relu", {dense(b, b.input("x", F32, {"N", 64}), 64, 5, 1)}));
  const Session session(b.model());
  const std::vector<NamedTensor> inputs = {{"x", X}};
  const auto y = session.run(inputs)[0].tensor;
  for (std::size_t i = 0; i < 15; ++i) EXPECT_EQ(std::isnan(y.span<float>()[i]), i / 5 == 1) << i;
}

TEST(Session, FoldReportTellsWhatBecameOfEachBatchNormalization) {
  EXPECT_EQ(Session(classifier()).fold_report().entries.size(), 2U);
  EXPECT_TRUE(Session(classifier()).fold_report().complete());
  EXPECT_TRUE(Session(classifier(), {.fold = std::nullopt}).fold_report().entries.empty());
}

// ---------------------------------------------------------------- same bits always

TEST(Session, SameBitsForAnyNumberOfThreads) {
  const Model model = classifier();
  const std::vector<NamedTensor> inputs = {{"x", random_tensor({777, 64}, 3, -3, 3)}};
  for (const Kernels kernels : {Kernels::packed, Kernels::blas, Kernels::fast}) {
    const auto one = Session(model, {.threads = 1, .kernels = kernels}).run(inputs);
    const auto four = Session(model, {.threads = 4, .kernels = kernels}).run(inputs);
    EXPECT_TRUE(identical(one[0].tensor, four[0].tensor));
  }
}

TEST(Session, TellsHowManyThreadsShareARun) {
  const Model model = classifier();
  for (const int threads : {1, 3}) EXPECT_EQ(Session(model, {.threads = threads}).threads(), threads);
  EXPECT_GE(Session(model, {.threads = 0}).threads(), 1);
  for (const int threads : {Session::kMaxThreads + 1, std::numeric_limits<int>::max()})
    expect_error(ErrorCode::resource_limit, [&] { Session(model, {.threads = threads}); });
  expect_error(ErrorCode::invalid_input, [&] { Session(model, {.threads = -1}); });
}

TEST(Session, SmallBatchesOfWideLayersAreSharedWithoutChangingBits) {
  GraphBuilder b;
  auto h = b.input("x", F32, {"N", 300});
  for (std::uint32_t i = 0; i < 2; ++i) h = b.op("Relu", {dense(b, h, 300, 300, i)});
  b.output(dense(b, h, 300, 2000, 7));
  const Model model = b.model();
  const auto blocks = compile(prepared(graph_of(model))).stages.at(0).blocks;
  ASSERT_LT(blocks->least_rows, blocks->rows);
  const Session one(model, {.threads = 1});
  const Session four(model, {.threads = 4});
  for (const std::int64_t rows : {1, 12, 13, 40, 64}) {
    const std::vector<NamedTensor> inputs = {{"x", random_tensor({rows, 300}, 3)}};
    EXPECT_TRUE(identical(one.run(inputs)[0].tensor, four.run(inputs)[0].tensor)) << rows;
  }
}

// ---------------------------------------------------------------- embedding

TEST(Session, RunsByPositionAsByName) {
  const Session session(classifier());
  const Tensor X = random_tensor({5, 64}, 1);
  const TensorView views[] = {X};
  const auto by_position = session.run(views);
  ASSERT_EQ(by_position.size(), 1U);
  EXPECT_TRUE(identical(by_position[0], session.run({{"x", X}})[0].tensor));
}

TEST(Session, SharesThreadsWithAnother) {
  const auto pool = make_thread_pool(3);
  const Session one(classifier(), {.pool = pool});
  const Session two(classifier(), {.pool = pool});
  EXPECT_EQ(one.threads(), 3);
  EXPECT_EQ(two.threads(), 3);
  const Tensor X = random_tensor({777, 64}, 3);
  const auto expected = Session(classifier()).run({{"x", X}});
  std::thread other([&] { EXPECT_TRUE(identical(two.run({{"x", X}})[0].tensor, expected[0].tensor)); });
  EXPECT_TRUE(identical(one.run({{"x", X}})[0].tensor, expected[0].tensor));
  other.join();
  expect_error(ErrorCode::invalid_input, [] { make_thread_pool(-1); });
}

TEST(Session, TellsHowFarARunIs) {
  GraphBuilder b;
  const auto h = dense(b, b.input("x", F32, {"N", 6}), 6, 4, 1);
  b.output(b.op("ReduceSum", {h, Tensor({1}, std::vector<std::int64_t>{0})}));
  const Session session(b.model());
  const Tensor X = random_tensor({1000, 6}, 1);
  const TensorView views[] = {X};
  for (const bool own_buffers : {false, true}) {
    std::vector<double> told;
    const RunOptions options{.progress = [&](double done) { told.push_back(done); }};
    if (own_buffers) {
      Tensor y(session.output_types(views)[0]);
      const MutableTensorView outputs[] = {y.mutable_view()};
      session.run(views, outputs, options);
    } else {
      session.run(views, options);
    }
    ASSERT_GE(told.size(), 3U);  // more than one block of rows, and the sum
    EXPECT_EQ(told.front(), 0.0);
    EXPECT_EQ(told.back(), 0.5);
    EXPECT_TRUE(std::ranges::is_sorted(told));
  }
}

TEST(Session, TellsHowFarASingleRowIs) {
  GraphBuilder b;
  auto h = b.input("x", F32, {"N", 6});
  for (std::uint32_t i = 0; i < 4; ++i) h = b.op("Relu", {dense(b, h, 6, 6, i)});
  b.output(h);
  const Tensor X = random_tensor({1, 6}, 1);
  const TensorView views[] = {X};
  for (const int threads : {1, 3}) {
    std::vector<double> told;
    Session(b.model(), {.threads = threads}).run(views, {.progress = [&](double done) {
                                                   told.push_back(done);
                                                 }});
    EXPECT_EQ(told, (std::vector<double>{0.0, 0.25, 0.5, 0.75})) << threads;
  }
}

TEST(Session, ARunIsCancelledByWhatItsProgressThrows) {
  struct Cancelled {};
  for (const int threads : {1, 3}) {
    const Session session(classifier(), {.threads = threads});
    const Tensor X = random_tensor({5000, 64}, 1);
    const TensorView views[] = {X};
    int calls = 0;
    const RunOptions options{.progress = [&](double) {
      if (++calls == 2) throw Cancelled{};
    }};
    // The caller's thread of a pool may find but one block for itself.
    try {
      session.run(views, options);
      EXPECT_GT(threads, 1);
    } catch (const Cancelled&) {
      EXPECT_EQ(calls, 2);
    }
    EXPECT_EQ(session.run(views).size(), 1U);  // the session goes on
  }
}

TEST(Session, TellsWhatTheModelIsAndWhatItsClassesAreCalled) {
  Model model = classifier();
  model.metadata().properties["bnrun.classes"] = R"(["a", "b"])";
  model.metadata().domain = "org.example";
  const Session session(std::move(model));
  EXPECT_EQ(session.metadata().domain, "org.example");
  EXPECT_EQ(session.class_names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(session.inputs().at(0).name, "x");
  Model odd = classifier();
  odd.metadata().properties["bnrun.classes"] = "no list";
  EXPECT_TRUE(Session(odd).class_names().empty());
}

TEST(Session, KnowsTheLabelsOfAZipMap) {
  const auto zipped = [](const char* attribute, AttributeValue labels) {
    GraphBuilder b;
    b.import("ai.onnx.ml", 1);
    const auto x = b.input("x", F32, {"N", 2});
    b.output(b.node("ZipMap", {x}, {{attribute, std::move(labels)}}, {"maps"}, "ai.onnx.ml")[0]);
    return Session(b.model());
  };
  const auto strings = zipped("classlabels_strings", std::vector<std::string>{"cat", "dog"});
  EXPECT_EQ(strings.outputs().at(0).labels.dtype(), DType::string);
  EXPECT_EQ(strings.class_names(), (std::vector<std::string>{"cat", "dog"}));
  const auto numbers = zipped("classlabels_int64s", std::vector<std::int64_t>{3, -7});
  EXPECT_EQ(numbers.outputs().at(0).labels.span<std::int64_t>()[1], -7);
  EXPECT_EQ(numbers.class_names(), (std::vector<std::string>{"3", "-7"}));
  EXPECT_FALSE(Session(classifier()).outputs().at(0).labels.defined());
}

// ---------------------------------------------------------------- errors

TEST(SessionErrors, NameTheInputAndWhatWasExpected) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 2});
  const auto z = b.input("z", F32, {"N", 2});
  b.output(b.op("Add", {x, z}));
  const Session session(b.model());
  const Tensor good = random_tensor({3, 2}, 1);
  const struct {
    std::vector<NamedTensor> inputs;
    std::string message;
  } cases[] = {
      {{{"x", good}}, "input 'z' (float32[N,2]) is missing"},
      {{{"x", good}, {"y", good}}, "the model has no input 'y', it has 'x', 'z'"},
      {{{"x", good}, {"x", good}}, "input 'x' is given twice"},
      {{{"x", good}, {"z", random_tensor({3, 4}, 1)}},
       "input 'z' must be float32[N,2], given is float32[3,4]"},
      {{{"x", random_tensor<double>({3, 2}, 1)}, {"z", good}},
       "input 'x' must be float32[N,2], given is float64[3,2]"},
      {{{"x", good}, {"z", random_tensor({5, 2}, 1)}},
       "input 'z' must be float32[N,2], given is float32[5,2]: N is 3 in input 'x'"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(expect_error(ErrorCode::invalid_input, [&] { session.run(c.inputs); }), c.message);
  }
  // What failed before does not disturb what comes after.
  const std::vector<NamedTensor> inputs = {{"x", good}, {"z", good}};
  EXPECT_EQ(session.run(inputs).size(), 1U);
}

TEST(SessionErrors, ATypeThatDiffersFromTheLastRunIsSeen) {
  const Session session(classifier());
  const std::vector<NamedTensor> good = {{"x", random_tensor({3, 64}, 1)}};
  const std::vector<NamedTensor> bad = {{"x", random_tensor<double>({3, 64}, 1)}};
  session.run(good);
  expect_error(ErrorCode::invalid_input, [&] { session.run(bad); });
}

TEST(SessionErrors, WrongOutputBufferLeavesItUntouched) {
  const Session session(classifier());
  const Tensor X = random_tensor({3, 64}, 1);
  Tensor Y({3, 9}, std::vector<float>(27, 42.0F));
  const TensorView inputs[] = {X};
  const MutableTensorView outputs[] = {Y.mutable_view()};
  const auto text = expect_error(ErrorCode::invalid_input, [&] { session.run(inputs, outputs); });
  EXPECT_EQ(text, "output 'y' is float32[3,10], the buffer given is float32[3,9]");
  for (const float y : Y.span<float>()) EXPECT_EQ(y, 42.0F);
}

TEST(SessionErrors, ANullPointerIsTheCallersFault) {
  const Session session(classifier());
  const TensorView nowhere[] = {{F32, {3, 64}, nullptr}};
  EXPECT_EQ(expect_error(ErrorCode::invalid_input, [&] { session.run(nowhere); }),
            "input 'x' is a null pointer");
  const Tensor X = random_tensor({3, 64}, 1);
  const TensorView inputs[] = {X};
  const MutableTensorView outputs[] = {{F32, {3, 10}, nullptr}};
  EXPECT_EQ(expect_error(ErrorCode::invalid_input, [&] { session.run(inputs, outputs); }),
            "output 'y' is a null pointer");
  const TensorView no_rows[] = {{F32, {0, 64}, nullptr}};
  EXPECT_EQ(session.run(no_rows).at(0).shape(), (Shape{0, 10}));
  const TensorView fewer_than_none[] = {{F32, {-1, 64}, X.view().bytes}};
  expect_error(ErrorCode::invalid_input, [&] { session.run(fewer_than_none); });
}

TEST(SessionErrors, ShapesThatClashInsideTheModelAreTheInputsFault) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"A", 2});
  const auto z = b.input("z", F32, {"B", 2});
  b.output(b.op("Add", {x, z}));
  const Session session(b.model());
  const std::vector<NamedTensor> inputs = {{"x", random_tensor({3, 2}, 1)}, {"z", random_tensor({4, 2}, 1)}};
  const auto text = expect_error(ErrorCode::invalid_input, [&] { session.run(inputs); });
  EXPECT_NE(text.find("Add_0"), std::string::npos) << text;
}

// ---------------------------------------------------------------- memory and threads

TEST(SessionMemory, RunBetweenOwnBuffersAllocatesNothingAfterWarmUp) {
  for (const bool fold : {true, false}) {
    for (const int threads : {1, 2}) {
      const Session session(classifier(), {.threads = threads, .fold = folding(fold)});
      std::vector<Tensor> in;
      std::vector<Tensor> out;
      for (const std::int64_t rows : {1, 7, 64, 300}) {
        in.push_back(random_tensor({rows, 64}, 1));
        out.emplace_back(F32, Shape{rows, 10});
      }
      const auto run_all = [&] {
        for (std::size_t i = 0; i < in.size(); ++i) {
          const TensorView inputs[] = {in[i]};
          const MutableTensorView outputs[] = {out[i].mutable_view()};
          session.run(inputs, outputs);
        }
      };
      run_all();
      const auto before = allocations();
      run_all();
      EXPECT_EQ(allocations() - before, 0U) << "fold " << fold << ", threads " << threads;
    }
  }
}

TEST(AllocationCounter, Counts) {
  const auto before = allocations();
  const Tensor tensor(F32, {3});
  EXPECT_GT(allocations(), before);
}

TEST(SessionThreads, ConcurrentRunsOfDifferentBatches) {
  const Model model = classifier();
  const Session session(model, {.threads = 2});
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 30; ++i) {
        const std::int64_t rows = 1 + (caller * 37 + i * 13) % 150;
        const Tensor X = random_tensor({rows, 64}, static_cast<std::uint32_t>(caller * 100 + i));
        const std::vector<NamedTensor> inputs = {{"x", X}};
        const TensorView views[] = {X};
        expect_close(session.run(inputs)[0].tensor, interpret(graph_of(model), views)[0], 1e-5, 1e-6);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace bnrun::testing
