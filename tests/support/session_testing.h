// Networks for sessions, and what a session must compute.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <vector>

#include "api/model_access.h"
#include "bnrun/session.h"
#include "support/graph_building.h"
#include "verify/interpret.h"

namespace bnrun::testing {

inline constexpr DType F32 = DType::float32;

/// y = BatchNormalization(x) with parameters that are far from the identity.
inline ValueId batch_normalization(GraphBuilder& b, ValueId x, std::int64_t channels, std::uint32_t seed) {
  return b.op("BatchNormalization",
              {x, random_tensor({channels}, seed, 0.5, 2.0), random_tensor({channels}, seed + 1),
               random_tensor({channels}, seed + 2), random_tensor({channels}, seed + 3, 0.2, 3.0)});
}

inline ValueId dense(GraphBuilder& b, ValueId x, std::int64_t K, std::int64_t N, std::uint32_t seed) {
  const double range = 1.0 / std::sqrt(static_cast<double>(K));  // keeps the sums near 1
  return b.op("Gemm", {x, random_tensor({K, N}, seed, -range, range), random_tensor({N}, seed + 1)});
}

/// 64-32-32-10 with BatchNormalization, Relu and Softmax.
inline Model classifier() {
  GraphBuilder b;
  auto h = b.input("x", F32, {"N", 64});
  std::int64_t width = 64;
  for (const std::int64_t next : {32, 32}) {
    h = b.op("Relu",
             {batch_normalization(b, dense(b, h, width, next, static_cast<std::uint32_t>(width + next)), next,
                                  static_cast<std::uint32_t>(next))});
    width = next;
  }
  b.output(b.op("Softmax", {dense(b, h, 32, 10, 7)}, {{"axis", std::int64_t{-1}}}, "y"));
  return b.model();
}

inline std::optional<FoldOptions> folding(bool fold) {
  return fold ? std::optional(FoldOptions{}) : std::nullopt;
}

/// Runs `model` under every combination of options and compares with `interpret`.
inline void expect_like_interpret(const Model& model, const std::vector<NamedTensor>& inputs) {
  std::vector<TensorView> views;
  for (const PortInfo& port : model.inputs()) {
    TensorView view;
    for (const auto& [name, tensor] : inputs) {
      if (name == port.name) view = tensor.view();
    }
    views.push_back(view);
  }
  const auto expected = interpret(graph_of(model), views);
  for (const bool fold : {false, true}) {
    for (const Kernels kernels : {Kernels::packed, Kernels::blas, Kernels::fast}) {
      for (const int threads : {1, 3}) {
        SCOPED_TRACE(::testing::Message() << "fold " << fold << ", kernels " << static_cast<int>(kernels)
                                          << ", threads " << threads);
        const Session session(model, {.threads = threads, .fold = folding(fold), .kernels = kernels});
        for (int repeat = 0; repeat < 2; ++repeat) {
          const auto outputs = session.run(inputs);
          ASSERT_EQ(outputs.size(), expected.size());
          for (std::size_t i = 0; i < outputs.size(); ++i) {
            SCOPED_TRACE(outputs[i].name);
            expect_close(outputs[i].tensor, expected[i], 1e-5, 1e-6);
          }
        }
      }
    }
  }
}

}  // namespace bnrun::testing
