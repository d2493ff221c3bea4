#include "footprint.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "common/bound_run.h"
#include "common/model_source.h"

namespace bnrun::cli {
namespace {

/// The most memory that this process has had resident; 0 where the system does not tell.
std::int64_t peak_resident_bytes() {
  std::ifstream file("/proc/self/status");
  std::string key;
  while (file >> key) {
    std::int64_t kibibytes = 0;
    if (key == "VmHWM:" && file >> kibibytes) return kibibytes * 1024;
    std::getline(file, key);
  }
  return 0;
}

Footprint measure(const std::string& path, const SessionOptions& options, std::int64_t rows,
                  const Sizes& sizes) {
  const auto start = std::chrono::steady_clock::now();
  const Session session = open_session(path, options);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const BoundRun run(session, rows, sizes);
  return {seconds.count(), peak_resident_bytes()};
}

}  // namespace

std::optional<Footprint> footprint_of(const std::string& path, const SessionOptions& options,
                                      std::int64_t rows, const Sizes& sizes) {
  int ends[2];
  if (::pipe(ends) != 0) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      const Footprint found = measure(path, options, rows, sizes);
      ::_exit(::write(ends[1], &found, sizeof found) == static_cast<ssize_t>(sizeof found) ? 0 : 1);
    } catch (...) {
      ::_exit(1);
    }
  }
  ::close(ends[1]);
  Footprint found;
  const bool read = child > 0 && ::read(ends[0], &found, sizeof found) == static_cast<ssize_t>(sizeof found);
  ::close(ends[0]);
  if (child > 0) ::waitpid(child, nullptr, 0);
  return read && found.peak_bytes > 0 ? std::optional(found) : std::nullopt;
}

}  // namespace bnrun::cli
