// The channels of several tensors one behind the other, and what a reader makes of each first.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace bnrun {

/// X[positions, channels]: some of the channels that are read.
template <class T>
struct ChannelPart {
  const T* X = nullptr;
  std::int64_t channels = 0;
};

/// f(x)[c] = x[c] + shift[c], and `low` or `high` where that is below or above; NaN stays.
template <class T>
struct Prologue {
  std::vector<T> shift;  ///< one for each channel; -0 leaves every x as it is
  T low = -std::numeric_limits<T>::infinity();
  T high = std::numeric_limits<T>::infinity();
};

/// What is read, with its channels last: f(the channels of all parts one behind the other). Views: what is pointed to must
/// outlive it.
template <class T>
struct ChannelSource {
  std::span<const ChannelPart<T>> parts;
  const Prologue<T>* prologue = nullptr;  ///< null: f(x) = x. REQUIRES then: one part
};

/// Writes the channels of `positions` positions from `first` on to Y[positions, channels of all parts].
/// REQUIRES: there is a prologue. Thread-safe, allocates nothing.
template <class T>
void gather_channels(const ChannelSource<T>& source, std::int64_t first, std::int64_t positions, T* Y);

template <>
void gather_channels(const ChannelSource<float>&, std::int64_t, std::int64_t, float*);
template <>
void gather_channels(const ChannelSource<double>&, std::int64_t, std::int64_t, double*);

}  // namespace bnrun
