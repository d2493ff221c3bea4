// How many processors this process may use.
#pragma once

#include <filesystem>

namespace bnrun {

/// The processors in the affinity mask, or fewer where a cgroup (version 2) of the process or one above it
/// grants less time than that: ceil(quota / period). At least 1. `root` stands in for "/" in tests.
int usable_cpus(const std::filesystem::path& root = "/");

}  // namespace bnrun
