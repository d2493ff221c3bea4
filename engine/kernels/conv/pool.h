// Windows over channels-last data: what lies under one output, channel by channel.
#pragma once

#include <cstdint>
#include <span>

namespace bnrun {

/// Each tap points to the channels of one position.
template <class T>
using PoolTaps = std::span<const T* const>;

/// Y[c] = the largest of taps[i][c]; the first NaN if there is one; without taps the lowest number there is.
void pool_max(PoolTaps<float> taps, std::int64_t channels, float* Y);
void pool_max(PoolTaps<double> taps, std::int64_t channels, double* Y);

/// Y[c] = (sum of taps[i][c]) / divisor, summed in order in double and rounded once.
void pool_mean(PoolTaps<float> taps, std::int64_t channels, double divisor, float* Y);
void pool_mean(PoolTaps<double> taps, std::int64_t channels, double divisor, double* Y);

}  // namespace bnrun
