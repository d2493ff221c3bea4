// Convolutions of random forms against a chain of std::fma worked out element by element: the same bits on every
// instruction set, for any batch and any number of threads.
#include "kernels/conv/convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "support/convolution_activations.h"
#include "support/graph_building.h"
#include "support/only_target.h"

namespace bnrun::testing {
namespace {

template <class T>
std::vector<T> numbers(std::int64_t count, std::uint32_t seed) {
  if (count == 0) return {};
  const Tensor tensor = random_tensor<T>({count}, seed, -2.0, 2.0);
  return {tensor.span<T>().begin(), tensor.span<T>().end()};
}

/// One convolution and the data that it runs on.
template <class T>
struct Case {
  Window window;
  std::int64_t batch = 1;
  std::int64_t C = 1;
  std::int64_t M = 1;
  std::int64_t groups = 1;
  typename Dense<T>::Epilogue epilogue;
  std::vector<T> W;
  std::vector<T> X;
  std::vector<T> addend;            ///< or empty
  std::vector<std::int64_t> parts;  ///< channels of each part of X; empty: X is whole and has no prologue
  Prologue<T> prologue;

  std::size_t outputs(std::int64_t images) const {
    return static_cast<std::size_t>(images * window.output().elements() * M);
  }

  void fill(std::uint32_t seed, bool with_addend, bool affine, Activation activation) {
    W = numbers<T>(M * (C / groups) * window.kernel().elements(), seed);
    X = numbers<T>(batch * window.input().elements() * C, seed + 1);
    if (with_addend) addend = numbers<T>(static_cast<std::int64_t>(outputs(batch)), seed + 2);
    epilogue.activation = activation;
    if (affine) {
      epilogue.scale = numbers<T>(M, seed + 3);
      epilogue.shift = numbers<T>(M, seed + 4);
    }
  }

  Convolution<T> convolution() const {
    return Convolution<T>({C, M, groups, window.kernel(), W.data()}, epilogue);
  }

  std::vector<T> run(const Workspace& workspace) const {
    std::vector<T> Y(outputs(batch), T(-77));
    const T* added = addend.empty() ? nullptr : addend.data();
    if (parts.empty()) {
      convolution().run(window, batch, X.data(), added, Y.data(), workspace);
      return Y;
    }
    std::vector<std::vector<T>> data(parts.size());
    for (auto x = X.begin(); x != X.end();) {
      for (std::size_t i = 0; i < parts.size(); ++i)
        for (std::int64_t c = 0; c < parts[i]; ++c) data[i].push_back(*x++);
    }
    std::vector<ChannelPart<T>> source;
    for (std::size_t i = 0; i < parts.size(); ++i) source.push_back({data[i].data(), parts[i]});
    convolution().run(window, batch, {source, &prologue}, added, Y.data(), workspace);
    return Y;
  }

  /// X as the convolution sees it.
  std::vector<T> behind_prologue() const {
    std::vector<T> x = X;
    for (std::size_t i = 0; i < x.size() && !parts.empty(); ++i) {
      x[i] += prologue.shift[i % static_cast<std::size_t>(C)];
      x[i] = std::min(std::max(x[i], prologue.low), prologue.high);
    }
    return x;
  }

  /// The order of operations that convolution.h promises.
  std::vector<T> chain_of_fma() const {
    const std::vector<T> read = behind_prologue();
    std::vector<T> Y;
    const Shape in = window.input();
    const Shape out = window.output();
    const Shape kernel = window.kernel();
    const std::int64_t per_group = C / groups;
    const auto index_in = [](std::int64_t flat, const Shape& shape) {
      Shape index = shape;
      for (std::size_t i = shape.rank(); i-- > 0; flat /= shape[i]) index[i] = flat % shape[i];
      return index;
    };
    for (std::int64_t o = 0; o < batch * out.elements(); ++o) {
      const Shape at = index_in(o % out.elements(), out);
      for (std::int64_t m = 0; m < M; ++m) {
        T sum = 0;
        for (std::int64_t k = 0; k < kernel.elements(); ++k) {
          const Shape tap = index_in(k, kernel);
          std::int64_t position = o / out.elements();
          bool inside = true;
          for (std::size_t i = 0; i < in.rank(); ++i) {
            const std::int64_t p = window.axes[i].position(at[i], tap[i]);
            inside = inside && p >= 0 && p < in[i];
            position = position * in[i] + p;
          }
          for (std::int64_t c = 0; c < per_group && inside; ++c) {
            const std::int64_t channel = m / (M / groups) * per_group + c;
            sum = std::fma(read[static_cast<std::size_t>(position * C + channel)],
                           W[static_cast<std::size_t>((m * per_group + c) * kernel.elements() + k)], sum);
          }
        }
        const auto column = static_cast<std::size_t>(m);
        T y = epilogue.scale.empty() ? sum : std::fma(sum, epilogue.scale[column], epilogue.shift[column]);
        if (!addend.empty()) y += addend[static_cast<std::size_t>(o * M + m)];
        Y.push_back(y);
      }
    }
    activate(epilogue.activation, std::span<T>(Y));
    return Y;
  }

  std::string describe() const {
    std::string text = "batch " + std::to_string(batch) + " C " + std::to_string(C) + " M " +
                       std::to_string(M) + " groups " + std::to_string(groups) + " parts " +
                       std::to_string(parts.size());
    for (const WindowAxis& a : window.axes) {
      text += " [input " + std::to_string(a.input) + " output " + std::to_string(a.output) + " kernel " +
              std::to_string(a.kernel) + " stride " + std::to_string(a.stride) + " dilation " +
              std::to_string(a.dilation) + " pads " + std::to_string(a.pad_begin) + "," +
              std::to_string(a.pad_end) + "]";
    }
    return text;
  }
};

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  bool chance(std::int64_t percent) { return between(1, 100) <= percent; }

  WindowAxis axis(std::int64_t longest) {
    WindowAxis a;
    for (;;) {
      a.input = between(1, longest);
      a.kernel = chance(40) ? 3 : chance(40) ? 1 : between(1, 7);
      a.stride = chance(60) ? 1 : between(1, 3);
      a.dilation = chance(75) ? 1 : between(2, 3);
      a.pad_begin = chance(50) ? a.reach() / 2 : between(0, 4);
      a.pad_end = chance(70) ? a.pad_begin : between(0, 4);
      const std::int64_t room = a.input + a.pad_begin + a.pad_end - a.reach();
      if (room < 0) continue;
      a.output = room / a.stride + 1;
      return a;
    }
  }

  template <class T>
  Case<T> convolution() {
    Case<T> c;
    const std::int64_t axes = between(1, 3);
    for (std::int64_t i = 0; i < axes; ++i)
      c.window.axes.push_back(axis(axes <= 2 || (i == 2 && chance(20)) ? 40 : 9));
    c.batch = between(1, 3);
    if (chance(30)) {
      c.groups = c.C = between(1, 70);
      c.M = c.C * (chance(70) ? 1 : between(1, 4));
    } else {
      c.groups = chance(60) ? 1 : between(1, 6);
      c.C = c.groups * between(1, c.groups == 1 ? 70 : 12);
      c.M = c.groups * (chance(40) ? c.C / c.groups : between(1, c.groups == 1 ? 70 : 12));
    }
    // The reference is slow: what would take long is made small.
    while (c.window.output().elements() * c.window.kernel().elements() * c.M * (c.C / c.groups) > 2'000'000) {
      if (c.groups == 1) c.C = (c.C + 1) / 2;
      c.M = c.groups * std::max<std::int64_t>(1, c.M / c.groups / 2);
      c.window.axes[0] = axis(9);
    }
    const auto activation = kConvolutionActivations[static_cast<std::size_t>(between(0, 5))];
    c.fill(static_cast<std::uint32_t>(engine_()), chance(30), chance(70), activation);
    if (c.convolution().can_gather() && chance(40)) add_prologue(c);
    return c;
  }

  /// Channels in parts of any size, shifted and bounded as they are read.
  template <class T>
  void add_prologue(Case<T>& c) {
    for (std::int64_t left = c.C; left > 0; left -= c.parts.back())
      c.parts.push_back(chance(30) ? left : between(1, left));
    c.prologue.shift = chance(60) ? numbers<T>(c.C, 7) : std::vector<T>(static_cast<std::size_t>(c.C), -T(0));
    if (chance(60)) c.prologue.low = T(0);
    if (chance(20)) c.prologue.high = T(1);
  }

 private:
  std::mt19937 engine_;
};

/// Of each element type. Each is run on every instruction set, alone and by three threads.
int cases() {
  const char* text = std::getenv("BNRUN_CONVOLUTION_CASES");
  return text != nullptr ? std::atoi(text) : 300;
}

template <class T>
void expect_chains(std::uint32_t first_seed) {
  const auto targets = targets_with_fma();
  // Only targets with it are said to agree to the bit; without any there is nothing to compare.
  if (targets.empty()) GTEST_SKIP() << "this processor has no fused multiply-add";
  ThreadPool three(3);
  for (int i = 0; i < cases(); ++i) {
    const std::uint32_t seed = first_seed + static_cast<std::uint32_t>(i);
    const auto c = Draw(seed).convolution<T>();
    const auto expected = c.chain_of_fma();
    for (const auto target : targets) {
      const OnlyTarget only(target);
      ASSERT_TRUE(same_bits(c.run({}), expected))
          << hwy::TargetName(target) << " seed " << seed << ": " << c.describe();
    }
    ASSERT_TRUE(same_bits(c.run(Workspace(&three, nullptr, 0)), expected))
        << "three threads, seed " << seed << ": " << c.describe();
  }
}

TEST(Convolution, EveryElementIsOneChainOfFmaForRandomForms) {
  expect_chains<float>(1);
}

TEST(Convolution, EveryElementIsOneChainOfFmaInDouble) {
  expect_chains<double>(1'000'000);
}

TEST(Convolution, TakesNoMoreScratchMemoryThanItAsksFor) {
  for (std::uint32_t seed = 2'000'000; seed < 2'000'100; ++seed) {
    const auto c = Draw(seed).convolution<float>();
    const std::size_t bytes = c.convolution().scratch_bytes(c.window, c.batch, !c.parts.empty());
    const AlignedBuffer<std::byte> memory(bytes + 1);
    memory.data()[bytes] = std::byte{42};
    EXPECT_TRUE(same_bits(c.run(Workspace(nullptr, memory.data(), bytes)), c.run({}))) << c.describe();
    EXPECT_EQ(memory.data()[bytes], std::byte{42}) << c.describe();
  }
}

/// Sizes at which each way of reading the input is taken, with nothing left over and with something.
TEST(Convolution, LargeImagesAreChainsToo) {
  struct Form {
    std::int64_t extent, kernel, stride, pad, C, M, groups;
  };
  for (const Form& f :
       {Form{56, 3, 1, 1, 32, 33, 1}, Form{40, 7, 2, 3, 3, 64, 1}, Form{40, 5, 2, 2, 48, 48, 48},
        Form{33, 1, 1, 0, 70, 96, 1}, Form{29, 1, 2, 0, 64, 40, 1}, Form{5, 3, 1, 1, 70, 64, 1}}) {
    Case<float> c;
    const WindowAxis axis{
        f.extent, (f.extent + 2 * f.pad - f.kernel) / f.stride + 1, f.kernel, f.stride, 1, f.pad, f.pad};
    c.window.axes = {axis, axis};
    c.C = f.C;
    c.M = f.M;
    c.groups = f.groups;
    c.fill(9, false, true, {Activation::Kind::relu});
    // Only targets with it are said to agree to the bit; without any there is nothing to compare.
    if (targets_with_fma().empty()) GTEST_SKIP() << "this processor has no fused multiply-add";
    EXPECT_TRUE(same_bits(c.run({}), c.chain_of_fma())) << c.describe();
  }
}

/// Zeros beside the image times an infinite weight are NaN wherever the kernel keeps such zeros, and it must be so everywhere.
TEST(Convolution, InfiniteWeightBesideTheImageGivesNaN) {
  for (const std::int64_t groups : {1, 6}) {
    for (const std::int64_t kernel : {3, 4, 5}) {
      for (const std::int64_t extent : {1, 3, 9}) {
        Case<float> c;
        const WindowAxis axis{extent, extent + 3 - kernel + 1, kernel, 1, 1, 1, 2};
        if (axis.output < 1) continue;
        c.window.axes = {axis, axis};
        c.C = c.M = 6;
        c.groups = groups;
        c.fill(5, false, false, {});
        c.W[0] =
            std::numeric_limits<float>::infinity();  // tap (0, 0) of output channel 0 and the first input
        std::fill(c.X.begin(), c.X.end(), 1.0F);
        const auto Y = c.run({});
        for (std::int64_t h = 0; h < axis.output; ++h) {
          for (std::int64_t w = 0; w < axis.output; ++w) {
            const float y = Y[static_cast<std::size_t>((h * axis.output + w) * c.M)];
            EXPECT_EQ(std::isnan(y), h == 0 || w == 0) << c.describe() << " at " << h << ", " << w;
            EXPECT_TRUE(std::isnan(y) || std::isinf(y));
          }
        }
      }
    }
  }
}

TEST(Convolution, PrologueLeavesNaNAndComesBeforePadding) {
  Case<float> c;
  c.window.axes = {{6, 6, 3, 1, 1, 1, 1}};
  c.C = 2;
  c.M = 1;
  c.fill(3, false, false, {});
  c.parts = {1, 1};
  c.prologue = {{4.0F, 4.0F}, 0.0F, 10.0F};
  c.W.assign(6, 1.0F);
  c.X.assign(12, 1.0F);
  c.X[11] = std::numeric_limits<float>::quiet_NaN();
  const auto Y = c.run({});
  EXPECT_EQ((std::vector<float>(Y.begin(), Y.begin() + 4)), (std::vector<float>{20, 30, 30, 30}));
  EXPECT_TRUE(std::isnan(Y[4]) && std::isnan(Y[5]));
}

TEST(Convolution, TapsThatAllMissTheImageAddNothing) {
  Case<float> c;
  c.window.axes = {{1, 1, 2, 1, 4, 2, 2}};  // at -2 and at 2
  c.C = 3;
  c.M = 5;
  c.fill(3, false, true, {});
  EXPECT_EQ(c.run({}), c.epilogue.shift);
}

TEST(Convolution, ImageAloneEqualsTheImageInABatch) {
  for (std::uint32_t seed = 3'000'000; seed < 3'000'050; ++seed) {
    auto c = Draw(seed).convolution<float>();
    c.addend.clear();
    const auto together = c.run({});
    const auto image = static_cast<std::ptrdiff_t>(c.X.size()) / c.batch;
    const auto result = static_cast<std::ptrdiff_t>(c.outputs(1));
    auto alone = c;
    alone.batch = 1;
    for (std::ptrdiff_t n = 0; n < c.batch; ++n) {
      alone.X.assign(c.X.begin() + n * image, c.X.begin() + (n + 1) * image);
      EXPECT_TRUE(same_bits(alone.run({}), std::vector<float>(together.begin() + n * result,
                                                              together.begin() + (n + 1) * result)))
          << c.describe();
    }
  }
}

}  // namespace
}  // namespace bnrun::testing
