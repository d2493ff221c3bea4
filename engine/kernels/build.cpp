// What this library was built with.
#include <fmt/format.h>

#include <string>

#include "bnrun/error.h"
#include "bnrun/machine.h"
#include "kernels/gemm/blas.h"
#include "kernels/gemm/int8.h"
#include "kernels/targets.h"
// The sets chosen above it.
#include <hwy/targets.h>

namespace bnrun {
namespace {

/// Or why there is none.
std::string describe_blas() {
  try {
    return blas_name();
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

std::string build_description() {
  std::string sets;
  for (std::int64_t left = HWY_TARGETS; left != 0; left &= left - 1)
    sets += fmt::format("{}{}", sets.empty() ? "" : " ", hwy::TargetName(left & -left));
  const std::int64_t here = hwy::SupportedTargets() & HWY_TARGETS;
  return fmt::format("{}; kernels for {}, here {}{}; {}", BNRUN_COMPILER, sets, hwy::TargetName(here & -here),
                     multiplies_bytes_on_tiles() ? " and tiles of bytes (AMX)" : "", describe_blas());
}

}  // namespace bnrun
