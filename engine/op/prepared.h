// What a few operators can do besides: ahead of a run, by several threads, or for their readers. Whoever compiles a graph
// asks by dynamic_cast.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "op/op.h"

namespace bnrun {

/// An operator that reads constant inputs in a layout of its own.
class PacksConstants {
 public:
  virtual ~PacksConstants() = default;
  /// This operator with its constant inputs laid out as its kernels read them; it reads the same inputs. nullptr where
  /// there is nothing to lay out.
  virtual std::shared_ptr<const Op> packed(const FoldArgs& args) const = 0;
};

/// An operator whose `channels_last` is so much faster that it is worth bringing the data there.
class PrefersChannelsLast {
 public:
  virtual ~PrefersChannelsLast() = default;
  virtual bool prefers_channels_last(const FoldArgs& args) const = 0;
};

/// An operator that treats the positions of some axes alike and apart: threads can have some of them each.
class WorksInParts {
 public:
  virtual ~WorksInParts() = default;
  /// Whether positions along `axis` (0: the first) of an output of `rank` axes come from the same positions of the inputs
  /// alone. Inputs are aligned at their last axes; one that is shorter, or has another extent there, is read whole by all.
  virtual bool has_parts(std::size_t axis, std::size_t rank) const = 0;
};

/// y[c] = bound(x[c] + shift[c]) for all channels c.
struct ChannelPrologue {
  ChannelAffine shift;  ///< whose scale is 1
  Activation bound;     ///< a reader can take the identity, Relu and Clip
};

/// An operator that makes no more than that of its only input.
class IsPrologue {
 public:
  virtual ~IsPrologue() = default;
  virtual std::optional<ChannelPrologue> prologue() const = 0;
};

/// An operator that lays its inputs one behind the other.
class JoinsInputs {
 public:
  virtual ~JoinsInputs() = default;
  /// Whether it does so along `axis` of `rank`.
  virtual bool joins_along(std::size_t axis, std::size_t rank) const = 0;
};

/// An operator whose first inputs are parts of one value, the channels of all, which lie last, one behind the other, and
/// which can apply a prologue to that as it reads.
class ReadsInParts {
 public:
  virtual ~ReadsInParts() = default;
  virtual std::size_t parts() const = 0;  ///< at least 1; other inputs follow
  /// This operator reading so many; nullptr where it cannot.
  virtual std::shared_ptr<const Op> of_parts(std::size_t parts) const = 0;
  /// This operator reading what `prologue` makes of what it reads; nullptr where it cannot.
  virtual std::shared_ptr<const Op> behind(const ChannelPrologue& prologue) const = 0;
};

}  // namespace bnrun
