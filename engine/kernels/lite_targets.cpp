// What of Highway's library the kernels use, in builds that do without it: which instruction sets this processor has.
#include <cstdint>

#include "kernels/targets.h"
// The sets chosen above it.
#include <hwy/highway.h>
#include <hwy/targets.h>

namespace hwy {
namespace {

std::int64_t detect() {
  std::int64_t found = HWY_STATIC_TARGET;
#if HWY_ARCH_X86_64
  // The groups of features that Highway (targets.cc of 1.0.3) asks for; the compiler's runtime also asks whether the
  // operating system keeps the registers.
  __builtin_cpu_init();
  const bool sse4 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") &&
                    __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("aes");
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("f16c");
  const bool avx3 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd");
  if (sse4) found |= HWY_SSE4;
  if (avx2) found |= HWY_AVX2;
  if (avx3) found |= HWY_AVX3;
#endif
  return found;
}

}  // namespace

std::int64_t SupportedTargets() {
  static const std::int64_t found = detect();
  return found;
}

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

}  // namespace hwy
