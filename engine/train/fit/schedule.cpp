#include "train/fit/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/fail.h"

namespace bnrun::train {

void check_schedule(const Schedule& schedule) {
  if (!(schedule.factor >= 0.0 && schedule.factor <= 1.0))
    fail(ErrorCode::invalid_input, "a schedule by the factor {}, expected 0 to 1", schedule.factor);
  if (schedule.every < 1) fail(ErrorCode::invalid_input, "a step every {} epochs", schedule.every);
  if (!(schedule.warm_up >= 0.0) || !std::isfinite(schedule.warm_up))
    fail(ErrorCode::invalid_input, "{} epochs to warm up", schedule.warm_up);
}

void check_plateau(const Plateau& plateau) {
  if (plateau.patience < 1) fail(ErrorCode::invalid_input, "a plateau of {} epochs", plateau.patience);
  if (!(plateau.factor > 0.0 && plateau.factor < 1.0))
    fail(ErrorCode::invalid_input, "a plateau by the factor {}, expected 0 < factor < 1", plateau.factor);
  if (!(plateau.least >= 0.0)) fail(ErrorCode::invalid_input, "least learning rate {}", plateau.least);
}

double rate_factor(const Schedule& schedule, std::int64_t step, std::int64_t steps_per_epoch, int epochs) {
  double factor = 1.0;
  if (schedule.kind == Schedule::Kind::step) {
    factor = std::pow(schedule.factor, static_cast<double>(step / steps_per_epoch / schedule.every));
  } else if (schedule.kind == Schedule::Kind::cosine) {
    const double all = static_cast<double>(steps_per_epoch) * epochs;
    const double way = std::min(1.0, static_cast<double>(step) / all);
    factor = schedule.factor + (1.0 - schedule.factor) * 0.5 * (1.0 + std::cos(std::numbers::pi * way));
  }
  const double warm = schedule.warm_up * static_cast<double>(steps_per_epoch);
  return factor * (warm > 0.0 ? std::min(1.0, static_cast<double>(step + 1) / warm) : 1.0);
}

}  // namespace bnrun::train
