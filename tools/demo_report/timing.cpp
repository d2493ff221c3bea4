// bndemo timing: one model as it is against the same model folded, in turns, so that a machine that slows
// down slows down both.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>

#include "bnrun/session.h"
#include "commands.h"

namespace bnrun {
namespace {

/// Time this thread was given: a busy machine does not count. Sessions here have one thread, the caller's.
std::chrono::nanoseconds thread_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// A session with buffers for one batch size.
class Runner {
 public:
  Runner(const Model& model, std::int64_t rows)
      : session_(model, {.fold = false}), rows_(rows), input_(DType::float32, {rows, columns_of(session_)}) {
    auto values = input_.mutable_span<float>();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7 % 17);
    const TensorView view = input_;
    const auto types = session_.output_types({&view, 1});
    output_ = Tensor(types.at(0).first, types.at(0).second);
  }

  /// Microseconds per row, over at least two milliseconds.
  double measure() {
    const TensorView input = input_;
    const MutableTensorView output = output_.mutable_view();
    const auto start = thread_time();
    std::int64_t runs = 0;
    std::chrono::nanoseconds elapsed{};
    do {
      for (int i = 0; i < 16; ++i) session_.run({&input, 1}, {&output, 1});
      runs += 16;
      elapsed = thread_time() - start;
    } while (elapsed < std::chrono::milliseconds(2));
    return std::chrono::duration<double, std::micro>(elapsed).count() / static_cast<double>(runs * rows_);
  }

 private:
  static std::int64_t columns_of(const Session& session) {
    const auto& dims = session.inputs().at(0).dims;
    if (!dims || dims->size() != 2 || !dims->at(1).extent) {
      throw Error(ErrorCode::unsupported, "the demo times models of one input [N, columns]");
    }
    return *dims->at(1).extent;
  }

  Session session_;
  std::int64_t rows_;
  Tensor input_;
  Tensor output_;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

int show_timing(const std::string& label, const std::string& unfolded, const std::string& folded) {
  constexpr int kTurns = 41;
  const Model before = Model::load(unfolded);
  const Model after = Model::load(folded);
  for (const std::int64_t rows : {1, 32, 256}) {
    Runner a(before, rows);
    Runner b(after, rows);
    a.measure();
    b.measure();
    std::vector<double> times_of_a;
    std::vector<double> times_of_b;
    for (int turn = 0; turn < kTurns; ++turn) {
      times_of_a.push_back(a.measure());
      times_of_b.push_back(b.measure());
    }
    const double from = median(times_of_a);
    const double to = median(times_of_b);
    fmt::print("  {:<10} batch {:<4} {:8.3f} us per row, folded {:8.3f} us   {:.2f} x\n", label, rows, from,
               to, from / to);
  }
  return cli::kDone;
}

}  // namespace

void add_timing(cli::Program& program) {
  struct Options {
    std::string label, unfolded, folded;
  };
  const auto options = std::make_shared<Options>();
  auto& command = program.add(
      "timing", "Time a model before and after folding", "  bndemo timing relu relu.onnx relu.folded.onnx",
      [options] { return show_timing(options->label, options->unfolded, options->folded); });
  command.add_option("LABEL", options->label, "How the lines begin")->required();
  command.add_option("UNFOLDED", options->unfolded, "A model of one input [N, columns] and one output")
      ->required();
  command.add_option("FOLDED", options->folded, "The same after bnfold")->required();
}

}  // namespace bnrun
