// Pools over channels-last data, a line of outputs at a time.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/conv/window.h"

namespace bnrun {

/// Under output o of the line lie the positions of its taps inside the input, of each row.
template <class T>
struct PoolLine {
  std::span<const T* const> rows;  ///< position 0 of each line of the input that the outputs meet
  WindowAxis axis;                 ///< along the lines
  std::int64_t channels = 0;       ///< of each position of rows and of Y
  T* Y = nullptr;                  ///< [axis.output, channels], overlapping no row
};

/// Y[o,c] = the largest of what lies under o; the first NaN if there is one; under nothing the lowest number there is.
void pool_max(const PoolLine<float>& line);
void pool_max(const PoolLine<double>& line);

/// Y[o,c] = (sum of what lies under o) / divisors[o], summed in order in double and rounded once.
void pool_mean(const PoolLine<float>& line, const double* divisors);
void pool_mean(const PoolLine<double>& line, const double* divisors);

}  // namespace bnrun
