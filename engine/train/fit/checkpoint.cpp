// A checkpoint: a line that says what it is, a checksum, then the numbers.
#include "train/fit/checkpoint.h"

#include <optional>

#include "base/fail.h"
#include "train/fit/bytes.h"

namespace bnrun::train {
namespace {

constexpr std::string_view kAnyHeader = "bnrun training checkpoint ";
constexpr std::string_view kHeader = "bnrun training checkpoint 2\n";

void put(ByteWriter& out, const Facts& facts) {
  out.put(std::uint64_t{facts.size()});
  for (const auto& [name, value] : facts) {
    out.put(std::string_view(name));
    out.put(std::string_view(value));
  }
}
void get(ByteReader& in, Facts& facts) {
  std::uint64_t count = 0;
  in.get(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    auto& [name, value] = facts.emplace_back();
    in.get(name);
    in.get(value);
  }
}

void put(ByteWriter& out, const Snapshot& snapshot) {
  out.put(snapshot.epoch);
  out.put(snapshot.loss);
  out.put(snapshot.weights);
  out.put(snapshot.statistics);
}
void get(ByteReader& in, Snapshot& snapshot) {
  in.get(snapshot.epoch);
  in.get(snapshot.loss);
  in.get(snapshot.weights);
  in.get(snapshot.statistics);
}

void put(ByteWriter& out, const std::optional<double>& value) {
  out.put(value.has_value());
  out.put(value.value_or(0.0));
}
void get(ByteReader& in, std::optional<double>& value) {
  bool given = false;
  double number = 0.0;
  in.get(given);
  in.get(number);
  value = given ? std::optional(number) : std::nullopt;
}

/// What the last epoch says of the finished network is left out: a resumed training may go on behind it.
void put(ByteWriter& out, const EpochReport& report) {
  out.put(report.epoch);
  for (const double value : {report.loss, report.metric, report.learning_rate, report.seconds})
    out.put(value);
  put(out, report.validation_loss);
  put(out, report.validation_metric);
}
void get(ByteReader& in, EpochReport& report) {
  in.get(report.epoch);
  for (double* value : {&report.loss, &report.metric, &report.learning_rate, &report.seconds}) in.get(*value);
  get(in, report.validation_loss);
  get(in, report.validation_metric);
}

}  // namespace

std::string to_bytes(const Checkpoint& from) {
  const Progress& p = from.progress;
  ByteWriter out;
  put(out, from.facts);
  out.put(p.step);
  out.put(from.optimizer_steps);
  out.put(from.first);
  out.put(from.second);
  out.put(from.random);
  out.put(p.plateau_factor);
  out.put(p.epochs_since_plateau);
  out.put(p.plateau_loss);
  out.put(p.epochs_without_gain);
  out.put(p.stopping_loss);
  out.put(p.stopped_early);
  out.put(p.order);
  out.put(std::uint64_t{p.history.size()});
  for (const EpochReport& report : p.history) put(out, report);
  put(out, p.last);
  put(out, p.best);
  ByteWriter whole;
  whole.put(checksum(out.bytes()));
  return std::string(kHeader) + whole.bytes() + out.bytes();
}

Checkpoint read_checkpoint(std::string_view bytes) {
  if (bytes.starts_with(kAnyHeader) && !bytes.starts_with(kHeader))
    fail(ErrorCode::invalid_input, "the checkpoint is damaged, or of another version of this program");
  if (!bytes.starts_with(kHeader)) fail(ErrorCode::invalid_input, "this is no checkpoint of a training");
  ByteReader head(bytes.substr(kHeader.size()));
  std::uint64_t sum = 0;
  head.get(sum);
  const std::string_view body = bytes.substr(kHeader.size() + sizeof sum);
  if (checksum(body) != sum)
    fail(ErrorCode::invalid_input, "the checkpoint is damaged: its checksum differs");
  ByteReader in(body);
  Checkpoint to;
  Progress& p = to.progress;
  get(in, to.facts);
  in.get(p.step);
  in.get(to.optimizer_steps);
  in.get(to.first);
  in.get(to.second);
  in.get(to.random);
  in.get(p.plateau_factor);
  in.get(p.epochs_since_plateau);
  in.get(p.plateau_loss);
  in.get(p.epochs_without_gain);
  in.get(p.stopping_loss);
  in.get(p.stopped_early);
  in.get(p.order);
  std::uint64_t epochs = 0;
  in.get(epochs);
  for (std::uint64_t i = 0; i < epochs; ++i) get(in, p.history.emplace_back());
  get(in, p.last);
  get(in, p.best);
  if (!in.at_end())
    fail(ErrorCode::invalid_input, "the checkpoint is damaged: it has more bytes than it needs");
  return to;
}

}  // namespace bnrun::train
