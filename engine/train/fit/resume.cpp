// A training left, and taken up again. What a checkpoint says is looked at before anything changes.
#include <algorithm>

#include "base/fail.h"
#include "train/fit/training.h"

namespace bnrun::train {
namespace {

bool every_row_once(const std::vector<std::size_t>& order, std::size_t rows) {
  std::vector<bool> seen(rows);
  for (const std::size_t row : order) {
    if (row >= rows || seen[row]) return false;
    seen[row] = true;
  }
  return order.size() == rows;
}

bool epochs_agree(const Progress& progress) {
  const auto& history = progress.history;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (history[i].epoch != static_cast<int>(i + 1)) return false;
  }
  const int epochs = static_cast<int>(history.size());
  return progress.last.epoch == epochs && progress.best.epoch <= epochs &&
         progress.best.epoch >= std::min(epochs, 1);
}

bool all_validated(const std::vector<EpochReport>& history, bool validated) {
  return std::ranges::all_of(history, [validated](const EpochReport& epoch) {
    return epoch.validation_loss.has_value() == validated && epoch.validation_metric.has_value() == validated;
  });
}

/// Of a count of epochs since something.
bool within(int count, const std::vector<EpochReport>& history) {
  return count >= 0 && count <= static_cast<int>(history.size());
}

}  // namespace

std::string Training::State::checkpoint() {
  return to_bytes({.facts = facts(),
                   .progress = *this,
                   .optimizer_steps = optimizer.steps(),
                   .first = optimizer.first(),
                   .second = optimizer.second(),
                   .random = random.state()});
}

void Training::State::check_facts(const Facts& there) {
  constexpr std::size_t kReadable = 400;
  const auto readable = [](const std::string& value) { return value.substr(0, value.find(kUnreadable)); };
  const auto value_in = [](const Facts& all, const std::string& name) {
    const auto found = std::ranges::find(all, name, &Facts::value_type::first);
    return found == all.end() ? std::string("none") : found->second;
  };
  const Facts& here = facts();
  for (const Facts* all : {&here, &there}) {
    for (const auto& [name, value] : *all) {
      const std::string before = value_in(there, name);
      const std::string now = value_in(here, name);
      if (before == now) continue;
      const std::string told = readable(before) == readable(now) || before.size() + now.size() > kReadable
                                   ? ""
                                   : fmt::format(": {} there, {} here", readable(before), readable(now));
      fail(ErrorCode::invalid_input, "the checkpoint is of a training with another {}{}", name, told);
    }
  }
}

void Training::State::check_sense(const Checkpoint& from) const {
  const Progress& p = from.progress;
  const auto expect = [](bool holds, const char* what) {
    if (!holds) fail(ErrorCode::invalid_input, "the checkpoint is damaged: its {}", what);
  };
  const auto fits = [](const auto& a, const auto& b) { return a.size() == b.size(); };
  expect(every_row_once(p.order, order.size()), "order of rows does not take each once");
  expect(epochs_agree(p), "epochs do not follow one another");
  expect(all_validated(p.history, validation.rows() > 0), "validation is not that of these options");
  expect(p.step == static_cast<std::int64_t>(p.history.size()) * steps_per_epoch &&
             p.step == from.optimizer_steps,
         "steps are not those of its epochs");
  expect(fits(from.first, optimizer.first()) && fits(from.second, optimizer.second()),
         "moments are those of another optimiser");
  const auto statistics = stack.statistics();
  for (const Snapshot* snapshot : {&p.last, &p.best}) {
    expect(fits(snapshot->weights, stack.weights()), "weights are those of another network");
    expect(fits(snapshot->statistics, statistics), "statistics are those of another network");
  }
  expect(p.plateau_factor >= 0.0 && p.plateau_factor <= 1.0 && within(p.epochs_since_plateau, p.history),
         "plateau cannot be reached");
  expect(within(p.epochs_without_gain, p.history) && !(p.stopped_early && p.history.empty()),
         "early stopping cannot be reached");
}

void Training::State::resume(std::string_view bytes) {
  Checkpoint from = read_checkpoint(bytes);
  check_facts(from.facts);
  check_sense(from);
  if (!random.set_state(from.random))
    fail(ErrorCode::invalid_input, "the checkpoint is damaged: its random numbers have no such state");
  optimizer.restore(from.optimizer_steps, std::move(from.first), std::move(from.second));
  static_cast<Progress&>(*this) = std::move(from.progress);
  restore(last);
}

}  // namespace bnrun::train
