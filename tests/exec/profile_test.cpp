// Profiles: every step, what it costs and when it ran. How long it took decides nothing here.
#include "bnrun/profile.h"

#include <gtest/gtest.h>

#include <map>

#include "bnrun/session.h"
#include "support/expect_error.h"
#include "support/graph_building.h"

namespace bnrun::testing {
namespace {

constexpr DType F32 = DType::float32;

/// x[N,8] -> Gemm -> Relu -> Gemm -> Softmax -> y[N,3]
Model network() {
  GraphBuilder b;
  auto h = b.input("x", F32, {"N", 8});
  h = b.op("Relu", {b.op("Gemm", {h, random_tensor({8, 16}, 1), random_tensor({16}, 2)})});
  b.output(b.op("Softmax", {b.op("Gemm", {h, random_tensor({16, 3}, 3), random_tensor({3}, 4)})},
                {{"axis", std::int64_t{-1}}}, "y"));
  return b.model();
}

Profile profile_of(const Session& session, std::int64_t rows) {
  const Tensor x = random_tensor({rows, 8}, 5);
  const TensorView inputs[] = {x};
  return session.profile(inputs, 3);
}

TEST(Profile, TellsEachStepItsKernelAndItsCosts) {
  const Session session(network());
  const Profile profile = profile_of(session, 4);
  ASSERT_EQ(profile.steps.size(), 3U);
  const StepProfile& first = profile.steps[0];
  EXPECT_EQ(first.where, "node 'Gemm_0' (Gemm) + Relu");
  EXPECT_EQ(first.kernel, "dense, packed");
  EXPECT_EQ(first.flops, 2 * 4 * 8 * 16);
  EXPECT_EQ(first.bytes, 4 * (4 * 8 + 8 * 16 + 4 * 16));
  EXPECT_EQ(profile.steps[1].flops, 2 * 4 * 16 * 3);
  EXPECT_EQ(profile.steps[2].kernel, "operator");
  EXPECT_EQ(profile.steps[2].flops, 0);
  EXPECT_EQ(profile.steps[2].bytes, 4 * 2 * 4 * 3);
  EXPECT_GT(profile.seconds, 0.0);
  EXPECT_EQ(profile.threads, 1);
}

TEST(Profile, NamesTheKernelsOfBlasAndOfMapsThatStayed) {
  const Session blas(network(), {.kernels = Kernels::blas});
  EXPECT_EQ(profile_of(blas, 4).steps[0].kernel, "dense, BLAS");
  GraphBuilder b;
  b.output(b.op("Mul", {b.op("Relu", {b.input("x", F32, {"N", 8})}), random_tensor({8}, 1)}));
  const Session map(b.model(), {.fold = std::nullopt});
  const auto steps = profile_of(map, 4).steps;
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[1].kernel, "affine map");
}

TEST(Profile, ListsTheCallsOfEveryBlockOfRowsOnTheirThreads) {
  for (const int threads : {1, 3}) {
    const Session session(network(), {.threads = threads});
    const Profile profile = profile_of(session, 1000);
    std::map<std::size_t, std::int64_t> calls;
    std::map<int, double> end;  // of the last call of each thread
    for (const StepCall& call : profile.calls) {
      ++calls[call.step];
      ASSERT_GE(call.thread, 0);
      ASSERT_LT(call.thread, threads);
      ASSERT_GE(call.start, end[call.thread]) << "two calls of one thread overlap";
      ASSERT_GE(call.seconds, 0.0);
      end[call.thread] = call.start + call.seconds;
    }
    for (std::size_t i = 0; i < profile.steps.size(); ++i) {
      EXPECT_EQ(calls[i], profile.steps[i].calls);
      EXPECT_GT(calls[i], 1) << "1000 rows are several blocks";
    }
    EXPECT_EQ(profile.steps[0].flops, 2 * 1000 * 8 * 16) << "of all blocks together";
  }
}

TEST(Profile, CountsAStepThatThreadsShareOnceForEach) {
  GraphBuilder b;
  const auto x = b.input("x", DType::float32, {"N", 512});
  b.output(b.op("Gemm", {x, random_tensor({512, 512}, 1)}));
  const Session session(b.model(), {.threads = 2});
  const Tensor row = random_tensor({1, 512}, 2);
  const TensorView inputs[] = {row};
  const Profile shared = session.profile(inputs, 1);
  ASSERT_EQ(shared.calls.size(), 1U);
  EXPECT_EQ(shared.calls[0].threads, session.threads());
  EXPECT_EQ(shared.steps[0].seconds, shared.calls[0].seconds * session.threads());
}

TEST(Profile, KnowsNoOperationsWhereTheirNumberIsUnknown) {
  GraphBuilder b;
  b.output(b.op("Einsum", {b.input("x", F32, {"N", 8}), random_tensor({8, 2}, 1)},
                {{"equation", std::string("ij,jk->ik")}}));
  const Session session(b.model(), {.fold = std::nullopt});
  EXPECT_EQ(profile_of(session, 4).steps.back().flops, std::nullopt);
}

TEST(Profile, CountsStepsOnceThatPlanningComputesAhead) {
  GraphBuilder b;
  const auto x = b.input("x", F32, {"N", 8});
  b.output(b.op("Reshape", {x, b.op("Shape", {x})}));
  const Session session(b.model(), {.fold = std::nullopt});
  for (const StepProfile& step : profile_of(session, 4).steps) {
    EXPECT_LE(step.calls, 1) << step.where;
    EXPECT_LE(step.bytes, 2 * 4 * 8 * 4 + 16) << step.where;
  }
}

TEST(Profile, CountsNoBytesOfAnInputWhoseShapeAloneIsRead) {
  GraphBuilder b;
  b.output(b.op("Shape", {b.input("x", F32, {"N", 8})}));
  const Session session(b.model(), {.fold = std::nullopt});
  EXPECT_EQ(profile_of(session, 4).steps.at(0).bytes, 2 * 8);
}

TEST(Profile, LeavesTheSessionAsItWas) {
  const Session session(network());
  const Tensor x = random_tensor({5, 8}, 6);
  const auto before = session.run({{"x", x}});
  profile_of(session, 5);
  EXPECT_TRUE(identical(session.run({{"x", x}})[0].tensor, before[0].tensor));
}

TEST(Profile, RefusesInputsThatDoNotFitAndNoRuns) {
  const Session session(network());
  const Tensor wrong = random_tensor({5, 7}, 6);
  const TensorView inputs[] = {wrong};
  expect_error(ErrorCode::invalid_input, [&] { session.profile(inputs); });
  const Tensor x = random_tensor({5, 8}, 6);
  const TensorView good[] = {x};
  expect_error(ErrorCode::invalid_input, [&] { session.profile(good, 0); });
}

}  // namespace
}  // namespace bnrun::testing
