#include "op/op.h"

namespace bnrun {

OrDeclined<ChannelAffine> Op::pass_affine(Side from, const ChannelAffine& affine,
                                          const FoldArgs& args) const {
  const auto map = axes(args);
  if (!map || map->elements == AxisMap::Elements::computed) return Declined{Decline::activation_between, {}};
  if (auto passed = carried(affine, from, *map)) return std::move(*passed);
  return Declined{Decline::axis_unproven, "the axis of the channels does not come through"};
}

OrDeclined<std::vector<ChannelAffine>> Op::pass_affines(Side from, std::span<const ChannelAffine> maps,
                                                        const FoldArgs& args) const {
  for (const ChannelAffine& other : maps.subspan(1)) {
    if (!other.is_identity()) return Declined{Decline::activation_between, {}};
  }
  auto passed = pass_affine(from, maps[0], args);
  if (auto* declined = std::get_if<Declined>(&passed)) return std::move(*declined);
  return std::vector{std::get<ChannelAffine>(std::move(passed))};
}

bool Op::keeps_rows(const FoldArgs& args) const {
  for (std::size_t i = 0; i < args.inputs.size(); ++i) {
    if ((args.present(i) && args.constant(i) == nullptr) != (i == 0)) return false;
  }
  const auto map = axes(args);
  return map && map->keeps_rows() && args.only_first_output_used();
}

}  // namespace bnrun
