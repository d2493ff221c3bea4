// Kernels on one instruction set after another.
#pragma once

#include <hwy/targets.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace bnrun::testing {

/// Restricts run-time dispatch to one instruction set while it lives.
class OnlyTarget {
 public:
  explicit OnlyTarget(std::int64_t target) { choose(target); }
  ~OnlyTarget() { choose(0); }

 private:
  static void choose(std::int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

inline std::vector<std::int64_t> targets_with_fma() {
  std::vector<std::int64_t> targets;
  for (const std::int64_t target : {HWY_AVX2, HWY_AVX3, HWY_NEON}) {
    if ((hwy::SupportedTargets() & target) != 0) targets.push_back(target);
  }
  return targets;
}

inline std::vector<std::int64_t> supported_targets() {
  std::vector<std::int64_t> targets = targets_with_fma();
  if ((hwy::SupportedTargets() & HWY_SSE4) != 0) targets.push_back(HWY_SSE4);
  return targets;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

}  // namespace bnrun::testing
