// The rate of fused multiply-adds in registers.
#pragma once

#include <string_view>

namespace bnrun {

/// Vectors of one width and what works on them.
struct FmaLoop {
  std::string_view vectors;  ///< "AVX-512"; empty: none is known for this processor
  double flops = 0.0;        ///< single-precision operations of one call
  void (*run)() = nullptr;   ///< a fraction of a millisecond of independent multiply-adds, nothing else
};

/// The widest that this processor has.
FmaLoop widest_fma_loop();

}  // namespace bnrun
