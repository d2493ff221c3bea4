// What `bnrun run` and `bnrun predict` have in common: a model, what it is fed, its outputs block by block.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "bnrun/session.h"
#include "common/console.h"
#include "common/made_up.h"
#include "common/program.h"
#include "io/data.h"

namespace bnrun::cli {

struct FeedOptions {
  std::string model;
  std::vector<std::string> inputs;
  std::string random;  ///< rows to make up, a number; empty: none
  Sizes sizes;
  io::TableRules tables;
  SessionOptions session;
};

/// Adds MODEL, the inputs, how they are read, and how the model is compiled.
void add_feed_options(CLI::App& command, FeedOptions& options);

/// Throws UsageError where these options contradict each other or `output` is a file that is read, and io where it
/// cannot be written.
void check_feed(const FeedOptions& options, const std::string& output);

/// A compiled model and its inputs, in its order; undefined: an optional one that keeps its default.
struct Fed {
  Session session;
  std::vector<Tensor> inputs;
  bool rows_apart = false;           ///< a batch may be run in parts
  std::vector<std::string> targets;  ///< what each number of the only output is, where the model says so
};

/// Reads model and inputs; where none are named, standard input when something is piped into it. nullopt: there is
/// nothing to feed it, and the user was told what the model wants and shown a line that works. `in_parts`: whether it is
/// of use to know that rows are apart.
std::optional<Fed> feed(const Console& console, const std::string& command, const FeedOptions& options,
                        bool in_parts);

/// The outputs for a few thousand rows after another, or for all at once.
class BlockRun {
 public:
  BlockRun(const Fed& fed, std::string model, bool in_parts);
  /// The next rows; nullopt at the end. Throws when an interrupt waits.
  std::optional<std::vector<NamedTensor>> next();

 private:
  const Fed& fed_;
  std::string model_;
  std::int64_t rows_;   ///< of all blocks
  std::int64_t block_;  ///< rows of one
  std::int64_t done_ = 0;
  bool first_ = true;
};

/// Writes text to a file or to standard output, where a terminal gets what it shows and not what it obeys; each flush of
/// the stream reaches the reader.
void write_text(const std::string& output, const std::function<void(std::ostream&)>& produce);

}  // namespace bnrun::cli
