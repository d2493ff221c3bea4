// A training left and taken up again: to the same bits, or refused.
#include "train/fit/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "samples.h"
#include "train/fit/bytes.h"

namespace bnrun::train {
namespace {

FitOptions with_everything(int epochs) {
  FitOptions options = overfitting();
  options.epochs = epochs;
  options.optimizer = AdamW{.learning_rate = 0.01};
  options.plateau = Plateau{.patience = 2, .factor = 0.5};
  options.restore_best = true;
  options.freeze_statistics = 7;
  options.quantise_from = 7;  // of int8
  return options;
}

TEST(Checkpoint, ResumedTrainingEndsInTheSameBits) {
  for (const Folding folding : {Folding::none, Folding::folded, Folding::int8}) {
    const auto network_of = [&] {
      Network network = small();
      network.set_folding(folding);
      return network;
    };
    const Dataset data = labelled(61, 4, 3);
    Network whole = network_of();
    const auto expected = fit(whole, data, with_everything(10));
    for (const int left_after : {1, 6, 9}) {
      Network first = network_of();
      Training part(first, data, with_everything(left_after));
      while (!part.done()) part.run_epoch();
      Network second = network_of();
      Training rest(second, data, with_everything(10));
      rest.resume(part.checkpoint());
      ASSERT_EQ(rest.history().size(), static_cast<std::size_t>(left_after));
      while (!rest.done()) rest.run_epoch();
      rest.finish();
      EXPECT_EQ(rest.history().back().loss, expected.back().loss);
      EXPECT_EQ(rest.history().back().trained_loss, expected.back().trained_loss);
      const auto a = whole.weights();
      const auto b = second.weights();
      for (std::size_t i = 0; i < a.size(); ++i)
        EXPECT_TRUE(identical(a[i].tensor, b[i].tensor)) << a[i].name;
      EXPECT_EQ(whole.predict(data.features), second.predict(data.features));
    }
  }
}

TEST(Checkpoint, RefusesWhatIsDamagedOrOfAnotherTraining) {
  Network network = small();
  const Dataset data = labelled(61, 4, 3);
  Training training(network, data, with_everything(3));
  training.run_epoch();
  const std::string bytes = training.checkpoint();
  const auto resume = [&](const std::string& from, const Dataset& rows, const FitOptions& options) {
    Network other = small();
    Training(other, rows, options).resume(from);
  };
  for (std::size_t size = 0; size < bytes.size(); size += bytes.size() / 40)
    expect_refused([&] { resume(bytes.substr(0, size), data, with_everything(3)); }, "checkpoint");
  for (std::size_t at = 0; at < bytes.size(); at += bytes.size() / 40) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    expect_refused([&] { resume(damaged, data, with_everything(3)); }, "checkpoint");
  }
  std::string older = bytes;
  older[older.find('2')] = '1';
  expect_refused([&] { resume(older, data, with_everything(3)); }, "another version");
}

TEST(Checkpoint, WhatDiffersFromTheTrainingThatItIsOfIsNamed) {
  const Dataset data = labelled(61, 4, 3);
  FitOptions given = with_everything(3);
  given.bound_to = {{"list of columns", "a,b,c,d"}};
  Network network = small();
  Training training(network, data, given);
  training.run_epoch();
  const std::string bytes = training.checkpoint();
  const auto message_of = [&](const std::function<void(FitOptions&, Dataset&)>& change,
                              const std::function<Network()>& make = small) {
    FitOptions options = given;
    Dataset rows = data;
    change(options, rows);
    Network other = make();
    return testing::expect_error(ErrorCode::invalid_input,
                                 [&] { Training(other, rows, options).resume(bytes); });
  };
  struct Case {
    const char* what;
    std::function<void(FitOptions&, Dataset&)> change;
  };
  const Case cases[] = {
      {"batch: 8 there, 9 here", [](FitOptions& o, Dataset&) { o.batch = 9; }},
      {"seed: 1 there, 2 here", [](FitOptions& o, Dataset&) { o.seed = 2; }},
      {"l2", [](FitOptions& o, Dataset&) { o.l2 = 0.5; }},
      {"clipping", [](FitOptions& o, Dataset&) { o.clip_norm = 0.5; }},
      {"optimiser", [](FitOptions& o, Dataset&) { o.optimizer = Lion{}; }},
      {"optimiser", [](FitOptions& o, Dataset&) { std::get<AdamW>(o.optimizer).learning_rate = 0.5; }},
      {"schedule", [](FitOptions& o, Dataset&) { o.schedule.warm_up = 1.0; }},
      {"schedule", [](FitOptions& o, Dataset&) { o.schedule.kind = Schedule::Kind::cosine; }},
      {"epoch to freeze statistics at: 7 there, none here",
       [](FitOptions& o, Dataset&) { o.freeze_statistics.reset(); }},
      {"plateau", [](FitOptions& o, Dataset&) { o.plateau->patience = 3; }},
      {"early stopping", [](FitOptions& o, Dataset&) { o.early_stopping = EarlyStopping{}; }},
      {"choice of weights to keep", [](FitOptions& o, Dataset&) { o.restore_best = false; }},
      {"share to validate on", [](FitOptions& o, Dataset&) { o.validation = 0.2; }},
      {"list of columns: a,b,c,d there, a,b,c here",
       [](FitOptions& o, Dataset&) { o.bound_to[0].second = "a,b,c"; }},
      {"list of columns: a,b,c,d there, none here", [](FitOptions& o, Dataset&) { o.bound_to.clear(); }},
      {"table to train on", [](FitOptions&, Dataset& d) { d.features[5] += 1.0F; }},
      {"table to train on", [](FitOptions&, Dataset& d) { d.labels[5] = (d.labels[5] + 1) % 3; }},
  };
  for (const Case& c : cases) {
    const std::string message = message_of(c.change);
    EXPECT_EQ(message.find(std::string("the checkpoint is of a training with another ") + c.what), 0U)
        << c.what << ": " << message;
  }
  const auto nothing = [](FitOptions&, Dataset&) {};
  const auto scaled_network = [] {
    Network other = small();
    other.set_input_scaling(Scaling::by(0.5, 4));
    return other;
  };
  EXPECT_NE(message_of(nothing, scaled_network).find("another scaling of the inputs"), std::string::npos);
  const auto wider = [] { return Network(4, {Dense{17}, Dense{3}, Activation::softmax}); };
  EXPECT_NE(message_of(nothing, wider).find("another network"), std::string::npos);
  const auto smoothed = [] {
    Network other = small();
    other.set_loss(Loss::cross_entropy, {.label_smoothing = 0.1});
    return other;
  };
  EXPECT_NE(message_of(nothing, smoothed).find("another loss"), std::string::npos);
  const auto weighted = [] {
    Network other = small();
    other.set_loss(Loss::cross_entropy, {.class_weights = {1.0, 2.0, 1.0}});
    return other;
  };
  EXPECT_NE(message_of(nothing, weighted).find("another weighting of the classes"), std::string::npos);
  const auto folded = [] {
    Network other = small();
    other.set_folding(Folding::folded);
    return other;
  };
  EXPECT_NE(message_of(nothing, folded).find("another folding: none there, folded here"), std::string::npos);
}

TEST(Checkpoint, AFinishedTrainingThatIsResumedIsMeasuredAgain) {
  const Dataset data = labelled(61, 4, 3);
  for (const bool best : {false, true}) {
    FitOptions options = with_everything(3);
    options.restore_best = best;
    Network network = small();
    Training training(network, data, options);
    while (!training.done()) training.run_epoch();
    const std::string bytes = training.checkpoint();
    training.finish();
    Network again = small();
    Training resumed(again, data, options);
    resumed.resume(bytes);
    EXPECT_TRUE(resumed.done());
    resumed.finish();
    EXPECT_TRUE(resumed.history().back().trained_loss.has_value());
    EXPECT_EQ(resumed.history().back().trained_loss, training.history().back().trained_loss);
    EXPECT_EQ(resumed.history().back().trained_metric, training.history().back().trained_metric);
  }
}

constexpr std::size_t kHead =
    std::string_view("bnrun training checkpoint 2\n").size() + sizeof(std::uint64_t);

/// A checkpoint with this body and the checksum of it.
std::string sealed(const std::string& checkpoint, const std::string& body) {
  ByteWriter sum;
  sum.put(checksum(body));
  return checkpoint.substr(0, kHead - sizeof(std::uint64_t)) + sum.bytes() + body;
}

/// Three epochs of a training that is to go on for 10.
std::string three_epochs(const Dataset& data) {
  Network network = small();
  Training training(network, data, with_everything(10));
  while (training.history().size() < 3) training.run_epoch();
  return training.checkpoint();
}

/// That a training refuses these bytes for this reason and then goes on as if they had never been.
void expect_left_alone_by(const std::string& bytes, const Dataset& data, const std::string& reason) {
  Network untouched = small();
  const auto expected = fit(untouched, data, with_everything(2));
  Network network = small();
  Training training(network, data, with_everything(2));
  expect_refused([&] { training.resume(bytes); }, "the checkpoint is damaged: " + reason);
  EXPECT_TRUE(training.history().empty());
  while (!training.done()) training.run_epoch();
  training.finish();
  EXPECT_EQ(training.history().back().loss, expected.back().loss);
  EXPECT_EQ(network.predict(data.features), untouched.predict(data.features));
}

TEST(Checkpoint, WhatMakesNoSenseIsRefusedAndChangesNothing) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  struct Case {
    const char* reason;
    void (*damage)(Checkpoint&);
  };
  const Case cases[] = {
      {"its order of rows", [](Checkpoint& c) { c.progress.order[0] = 1U << 30U; }},
      {"its order of rows", [](Checkpoint& c) { c.progress.order[0] = c.progress.order[1]; }},
      {"its order of rows", [](Checkpoint& c) { c.progress.order.pop_back(); }},
      {"its order of rows", [](Checkpoint& c) { c.progress.order.push_back(c.progress.order.size()); }},
      {"its weights", [](Checkpoint& c) { c.progress.last.weights.push_back(1.0F); }},
      {"its weights", [](Checkpoint& c) { c.progress.last.weights.clear(); }},
      {"its weights", [](Checkpoint& c) { c.progress.best.weights.resize(1U << 20U); }},
      {"its statistics", [](Checkpoint& c) { c.progress.last.statistics.pop_back(); }},
      {"its statistics", [](Checkpoint& c) { c.progress.best.statistics.push_back(1.0); }},
      {"its epochs", [](Checkpoint& c) { c.progress.best.epoch = 4; }},
      {"its epochs", [](Checkpoint& c) { c.progress.best.epoch = 0; }},
      {"its epochs", [](Checkpoint& c) { c.progress.best.epoch = -1; }},
      {"its epochs", [](Checkpoint& c) { c.progress.last.epoch = 2; }},
      {"its epochs", [](Checkpoint& c) { c.progress.history[1].epoch = 7; }},
      {"its epochs", [](Checkpoint& c) { c.progress.history.pop_back(); }},
      {"its validation", [](Checkpoint& c) { c.progress.history[0].validation_loss.reset(); }},
      {"its validation", [](Checkpoint& c) { c.progress.history[2].validation_metric.reset(); }},
      {"its steps", [](Checkpoint& c) { ++c.progress.step; }},
      {"its steps", [](Checkpoint& c) { --c.optimizer_steps; }},
      {"its moments", [](Checkpoint& c) { c.first.pop_back(); }},
      {"its moments", [](Checkpoint& c) { c.second.push_back(0.0F); }},
      {"its plateau", [](Checkpoint& c) { c.progress.plateau_factor = kNan; }},
      {"its plateau", [](Checkpoint& c) { c.progress.plateau_factor = 2.0; }},
      {"its plateau", [](Checkpoint& c) { c.progress.epochs_since_plateau = -1; }},
      {"its early stopping", [](Checkpoint& c) { c.progress.epochs_without_gain = 1 << 30; }},
      {"its random numbers", [](Checkpoint& c) { c.random.clear(); }},
      {"its random numbers", [](Checkpoint& c) { c.random[3] = 'x'; }},
      {"its random numbers", [](Checkpoint& c) { c.random += " 1"; }},
  };
  const Dataset data = labelled(61, 4, 3);
  const std::string bytes = three_epochs(data);
  EXPECT_EQ(to_bytes(read_checkpoint(bytes)), bytes);
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::Message() << "case " << &c - cases);
    Checkpoint damaged = read_checkpoint(bytes);
    c.damage(damaged);
    expect_left_alone_by(to_bytes(damaged), data, c.reason);
  }
}

TEST(Checkpoint, BytesThatNoWriterLeavesAreRefused) {
  const Dataset data = labelled(61, 4, 3);
  const std::string bytes = three_epochs(data);
  expect_left_alone_by(sealed(bytes, bytes.substr(kHead) + '\0'), data, "it has more bytes than it needs");

  Checkpoint stopped = read_checkpoint(bytes);
  stopped.progress.stopped_early = !stopped.progress.stopped_early;
  std::string body = to_bytes(stopped).substr(kHead);
  const auto differs = std::ranges::mismatch(body, bytes.substr(kHead)).in1;
  *differs = 2;
  expect_left_alone_by(sealed(bytes, body), data, "an answer is neither yes nor no");

  Network network = small();
  Training before_any(network, data, with_everything(2));
  Checkpoint empty = read_checkpoint(before_any.checkpoint());
  before_any.resume(to_bytes(empty));  // nothing has happened yet, which makes sense
  empty.progress.stopped_early = true;
  expect_left_alone_by(to_bytes(empty), data, "its early stopping");
}

}  // namespace
}  // namespace bnrun::train
