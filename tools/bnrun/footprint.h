// What a process takes that loads a model and runs it once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bnrun/session.h"
#include "common/made_up.h"

namespace bnrun::cli {

struct Footprint {
  double load_seconds = 0.0;    ///< from the file to a session that can run
  std::int64_t peak_bytes = 0;  ///< resident memory of the process, programs and libraries included
};

/// Measured in a process of its own, a copy of this one, which should not have done anything yet. nullopt where the
/// model does not load or run, for which the caller will find the reason, or the system does not tell.
std::optional<Footprint> footprint_of(const std::string& path, const SessionOptions& options,
                                      std::int64_t rows, const Sizes& sizes = {});

}  // namespace bnrun::cli
