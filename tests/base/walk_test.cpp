// Walks over broadcast tensors against index arithmetic.
#include "base/walk.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "support/tensors.h"

namespace bnrun::testing {
namespace {

/// Where element `index` of `target`, counted in row-major order, is read in a tensor of `shape`.
std::int64_t read_at(const Shape& shape, const Shape& target, std::int64_t index) {
  std::int64_t at = 0;
  std::int64_t stride = 1;
  for (std::size_t back = 1; back <= target.rank(); ++back) {
    const std::int64_t extent = target[target.rank() - back];
    if (back <= shape.rank()) {
      const std::int64_t own = shape[shape.rank() - back];
      at += own == 1 ? 0 : index % extent * stride;
      stride *= own;
    }
    index /= extent;
  }
  return at;
}

class Shapes {
 public:
  explicit Shapes(unsigned seed) : random_(seed) {}

  Shape target() {
    Shape shape;
    for (std::size_t rank = below(6); rank > 0; --rank) shape.push_back(static_cast<std::int64_t>(below(5)));
    return shape;
  }
  /// One that broadcasts to `target`.
  Shape narrower(const Shape& target) {
    Shape shape(std::span(target.begin() + below(target.rank() + 1), target.end()));
    for (std::size_t i = 0; i < shape.rank(); ++i) {
      if (below(3) == 0) shape[i] = 1;
    }
    return shape;
  }

 private:
  std::size_t below(std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random_);
  }
  std::mt19937 random_;
};

Tensor counted(const Shape& shape) {
  Tensor tensor(DType::int64, shape);
  std::int64_t next = 0;
  for (auto& x : tensor.mutable_span<std::int64_t>()) x = next++;
  return tensor;
}

TEST(BroadcastRuns, ReadEveryOperandWhereIndexArithmeticDoes) {
  Shapes shapes(1);
  for (int round = 0; round < 2000; ++round) {
    const Shape target = shapes.target();
    const Tensor a = counted(shapes.narrower(target));
    const Tensor b = counted(shapes.narrower(target));
    Tensor out(DType::int64, target);
    broadcast_apply<std::int64_t, std::int64_t, std::int64_t>(
        a.view(), b.view(), out.mutable_view(), [](std::int64_t x, std::int64_t y) { return x * 10000 + y; });
    for (std::int64_t i = 0; i < out.elements(); ++i) {
      ASSERT_EQ(out.data<std::int64_t>()[i],
                read_at(a.shape(), target, i) * 10000 + read_at(b.shape(), target, i))
          << to_string(a.shape()) << to_string(b.shape()) << to_string(target);
    }
  }
}

TEST(BroadcastRuns, OfNothingAreNone) {
  EXPECT_FALSE(BroadcastRuns<2>({Shape{3, 0}, Shape{}}, Shape{3, 0}).next());
  EXPECT_FALSE(BroadcastRuns<2>({Shape{0, 3}, Shape{3}}, Shape{0, 3}).next());
  BroadcastRuns<2> one({Shape{}, Shape{}}, Shape{});
  EXPECT_TRUE(one.next());
  EXPECT_FALSE(one.next());
}

TEST(BroadcastRuns, MergeAxesThatAllOperandsCrossAlike) {
  const Shape image{8, 3, 5, 7};
  EXPECT_EQ(BroadcastRuns<2>({image, image}, image).run(), 8 * 3 * 5 * 7);
  EXPECT_EQ(BroadcastRuns<2>({image, Shape{3, 1, 1}}, image).run(), 5 * 7);
  EXPECT_EQ(BroadcastRuns<2>({image, Shape{}}, image).run(), 8 * 3 * 5 * 7);
  EXPECT_EQ(BroadcastRuns<2>({image, Shape{1, 1, 5, 7}}, image).run(), 5 * 7);
  EXPECT_EQ(BroadcastRuns<2>({Shape{}, Shape{}}, Shape{}).run(), 1);
}

}  // namespace
}  // namespace bnrun::testing
