#include "base/cpus.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

#include "base/numbers.h"

namespace bnrun {
namespace {

int affinity_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

/// The path behind "0::" in /proc/self/cgroup; empty where version 2 is not in use.
std::string own_cgroup(const std::filesystem::path& root) {
  std::ifstream file(root / "proc/self/cgroup");
  constexpr std::string_view kPrefix = "0::/";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kPrefix)) return line.substr(kPrefix.size());
  }
  return {};
}

/// cpu.max holds "QUOTA PERIOD" in microseconds, QUOTA being "max" where there is no limit.
int limit_of(const std::filesystem::path& folder, int otherwise) {
  std::ifstream file(folder / "cpu.max");
  long long quota = 0;
  long long period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return otherwise;
  return static_cast<int>(std::min<long long>(otherwise, ceil_div(quota, period)));
}

}  // namespace

int usable_cpus(const std::filesystem::path& root) {
  int cpus = affinity_cpus();
  const std::filesystem::path top = root / "sys/fs/cgroup";
  std::filesystem::path folder = top;
  cpus = limit_of(folder, cpus);
  for (const auto& part : std::filesystem::path(own_cgroup(root))) {
    folder /= part;
    cpus = limit_of(folder, cpus);
  }
  return std::max(1, cpus);
}

}  // namespace bnrun
