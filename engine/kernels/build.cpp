// What this library was built with.
#include <fmt/format.h>

#include <string>

#include "bnrun/machine.h"
#include "kernels/gemm/blas.h"
#include "kernels/targets.h"
// The sets chosen above it.
#include <hwy/targets.h>

namespace bnrun {

std::string build_description() {
  std::string sets;
  for (std::int64_t left = HWY_TARGETS; left != 0; left &= left - 1)
    sets += fmt::format("{}{}", sets.empty() ? "" : " ", hwy::TargetName(left & -left));
  const std::int64_t here = hwy::SupportedTargets() & HWY_TARGETS;
  return fmt::format("{}; kernels for {}, here {}; {}", BNRUN_COMPILER, sets, hwy::TargetName(here & -here),
                     blas_name());
}

}  // namespace bnrun
