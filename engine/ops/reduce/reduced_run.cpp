#include "ops/reduce/reduced_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "kernels/math/rows.h"

namespace bnrun {
namespace {

/// Columns whose sums are held at once.
constexpr std::int64_t kColumns = 512;

/// result = finish(sum of f(x)): what is summed, and what is made of the sum.
struct SummedKind {
  RowSum sum;
  double (*finish)(double sum, double count);
};

std::optional<SummedKind> summed(ReduceKind kind) {
  constexpr auto kAsItIs = [](double sum, double) { return sum; };
  switch (kind) {
    case ReduceKind::sum:
      return SummedKind{RowSum::plain, kAsItIs};
    case ReduceKind::mean:
      return SummedKind{RowSum::plain, [](double sum, double count) { return sum / count; }};
    case ReduceKind::l1:
      return SummedKind{RowSum::absolute, kAsItIs};
    case ReduceKind::l2:
      return SummedKind{RowSum::squares, [](double sum, double) { return std::sqrt(sum); }};
    case ReduceKind::sum_square:
      return SummedKind{RowSum::squares, kAsItIs};
    case ReduceKind::log_sum:
      return SummedKind{RowSum::plain, [](double sum, double) { return std::log(sum); }};
    default:
      return std::nullopt;
  }
}

/// visit(x, count, y): `count` columns of the rows from x on, and where their results go.
template <class T, class Visit>
void for_each_panel(const ReducedRun& run, const T* x, T* y, Visit visit) {
  for (std::int64_t o = 0; o < run.outer; ++o) {
    for (std::int64_t first = 0; first < run.inner; first += kColumns) {
      visit(x + o * run.reduced * run.inner + first, std::min(kColumns, run.inner - first),
            y + o * run.inner + first);
    }
  }
}

template <class T>
void sum_run(const SummedKind& kind, const ReducedRun& run, const T* x, T* y) {
  const RowKernels<T>& rows = row_kernels<T>();
  const auto n = static_cast<double>(run.reduced);
  const auto finished = [&](double sum) { return static_cast<T>(kind.finish(sum, n)); };
  if (run.inner == 1) {
    for (std::int64_t o = 0; o < run.outer; ++o)
      y[o] = finished(rows.sum(kind.sum, x + o * run.reduced, run.reduced, 0.0));
    return;
  }
  for_each_panel(run, x, y, [&](const T* panel, std::int64_t columns, T* results) {
    std::array<double, kColumns> totals{};
    for (std::int64_t r = 0; r < run.reduced; ++r)
      rows.add(kind.sum, panel + r * run.inner, columns, totals.data());
    std::transform(totals.begin(), totals.begin() + columns, results, finished);
  });
}

}  // namespace

template <class T>
bool reduce_run(ReduceKind kind, const ReducedRun& run, const T* x, T* y) {
  const RowKernels<T>& rows = row_kernels<T>();
  if (const auto sums = summed(kind)) {
    sum_run(*sums, run, x, y);
    return true;
  }
  if (kind != ReduceKind::max && kind != ReduceKind::min) return false;
  const RowExtreme extreme = kind == ReduceKind::max ? RowExtreme::most : RowExtreme::least;
  if (run.inner == 1) {
    for (std::int64_t o = 0; o < run.outer; ++o)
      y[o] = rows.extreme(extreme, x + o * run.reduced, run.reduced);
    return true;
  }
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  for_each_panel(run, x, y, [&](const T* panel, std::int64_t columns, T* results) {
    std::fill_n(results, columns, extreme == RowExtreme::most ? -kInfinity : kInfinity);
    for (std::int64_t r = 0; r < run.reduced; ++r)
      rows.extreme_with(extreme, panel + r * run.inner, columns, results);
  });
  return true;
}

template bool reduce_run(ReduceKind, const ReducedRun&, const float*, float*);
template bool reduce_run(ReduceKind, const ReducedRun&, const double*, double*);

}  // namespace bnrun
