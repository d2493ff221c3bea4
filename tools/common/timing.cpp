#include "common/timing.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <vector>

#include "bnrun/error.h"
#include "bnrun/session.h"

namespace bnrun::cli {
namespace {

std::chrono::nanoseconds thread_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// Numbers around 0 in an input of floating point, zeros in another (an index is then in range).
Tensor make_input(const PortInfo& port, std::int64_t rows) {
  if (!port.dims) throw Error(ErrorCode::unsupported, "input '" + port.name + "' has no known rank");
  Shape shape;
  for (const DimInfo& dim : *port.dims) shape.push_back(dim.extent.value_or(rows));
  if (!is_floating(port.dtype)) return Tensor(port.dtype, shape);
  std::vector<double> values(static_cast<std::size_t>(shape.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i * 7 % 17) / 8.0 - 1.0;
  return convert(Tensor(shape, values), port.dtype);
}

/// A session with buffers for one batch size.
class Runner {
 public:
  Runner(const Model& model, std::int64_t rows) : session_(model, {.fold = std::nullopt}), rows_(rows) {
    for (const PortInfo& port : session_.inputs())
      inputs_.push_back(port.optional ? Tensor() : make_input(port, rows));
    views_.assign(inputs_.begin(), inputs_.end());
    for (const TensorType& type : session_.output_types(views_)) outputs_.emplace_back(type);
    for (Tensor& output : outputs_) output_views_.push_back(output.mutable_view());
    measure();  // warms up
  }

  /// Microseconds per row, over at least two milliseconds.
  double measure() {
    const auto start = thread_time();
    std::int64_t runs = 0;
    std::chrono::nanoseconds elapsed{};
    do {
      for (int i = 0; i < 16; ++i) session_.run(views_, output_views_);
      runs += 16;
      elapsed = thread_time() - start;
    } while (elapsed < std::chrono::milliseconds(2));
    return std::chrono::duration<double, std::micro>(elapsed).count() / static_cast<double>(runs * rows_);
  }

 private:
  Session session_;
  std::int64_t rows_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> outputs_;
  std::vector<TensorView> views_;
  std::vector<MutableTensorView> output_views_;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Timing time_in_turns(const Model& before, const Model& after, std::int64_t rows) {
  constexpr auto kLongest = std::chrono::seconds(2);
  constexpr int kTurns = 41;
  Runner a(before, rows);
  Runner b(after, rows);
  std::vector<double> times_of_a;
  std::vector<double> times_of_b;
  const auto start = thread_time();
  for (int turn = 0; turn < kTurns && (turn < 3 || thread_time() - start < kLongest); ++turn) {
    times_of_a.push_back(a.measure());
    times_of_b.push_back(b.measure());
  }
  return {rows, median(times_of_a), median(times_of_b)};
}

}  // namespace bnrun::cli
