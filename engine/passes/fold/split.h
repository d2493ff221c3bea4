// A map in two parts: what goes into layers, and a shift that stays where the chain stood.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "affine/channel_affine.h"
#include "bnrun/tensor.h"

namespace bnrun {

/// The shift that stays of a map. Forward the data goes through x - c first, backward through y + c last.
struct StayingShift {
  int axis = ChannelAffine::kUniform;
  std::vector<double> c;     ///< by channel, as stored; 0 in channels that need none
  std::size_t channels = 0;  ///< how many do
};

struct Split {
  ChannelAffine goes;
  StayingShift stays;
};

/// By how much the rounding error may grow when the map goes into the layer behind it; see FoldOptions::max_growth.
double forward_growth(const ChannelAffine& map);

/// The largest constant of this type that leaves room for sums of products with it.
double room_in(DType dtype);

enum class Centre {
  growing,  ///< the channels whose shift would make the error grow
  all,      ///< every channel that shifts
};

/// s*x + t in its centred form: c = -t/s stays and s goes, with what c rounds away where only some channels
/// are centred. nullopt where no channel is to be centred or one cannot be. `lost`: of each shift, what is lost
/// where it is rounded to double; empty: nothing.
std::optional<Split> centred(const ChannelAffine& map, std::span<const double> lost, Centre which,
                             double max_growth, DType storage);

/// s*x + t with t staying behind what takes s; nullopt where nothing is shifted.
std::optional<Split> shifted_last(const ChannelAffine& map);

}  // namespace bnrun
