#include "common/timing.h"

#include <functional>

#include "bnrun/session.h"
#include "common/bound_run.h"
#include "common/turns.h"

namespace bnrun::cli {

Timing time_in_turns(const Model& before, const Model& after, std::int64_t rows) {
  const Session unfolded(before, {.fold = std::nullopt});
  const Session folded(after, {.fold = std::nullopt});
  BoundRun a(unfolded, rows);
  BoundRun b(folded, rows);
  const std::function<void()> both[] = {[&] { a.run(); }, [&] { b.run(); }};
  const auto seconds = time_in_turns(both, {});
  const double per_row = 1e6 / static_cast<double>(rows);
  return {rows, median(seconds[0]) * per_row, median(seconds[1]) * per_row};
}

}  // namespace bnrun::cli
