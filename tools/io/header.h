// Whether the first line of a table names its columns.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "io/cell.h"

namespace bnrun::io {

struct FirstCell {
  std::string text;
  bool quoted = false;
  Cell cell;
};

/// What the cells below the first one of a column have in common.
struct Below {
  std::uint8_t kinds = kAnyKind;
  bool has_value = false;      ///< one cell is not missing
  bool has_fraction = false;   ///< one number is no integer
  bool quoted_number = false;  ///< one number stands in quotes
  bool repeats_first = false;  ///< one cell is what stands in the first line
  bool counts_rows = true;     ///< the numbers are 0, 1, 2, ...
};

struct HeaderVerdict {
  std::optional<bool> header;  ///< nullopt: both readings are plausible
  std::string reason;
};

HeaderVerdict decide_header(std::span<const FirstCell> first, std::span<const Below> below,
                            std::span<const std::string> expected);

}  // namespace bnrun::io
