// Text from files and models on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace bnrun::cli {

/// `text` without what a terminal obeys instead of showing: control characters, characters that turn the direction of
/// writing, and bytes that are no UTF-8 become \n, \t, \r, \x1b or \u202e.
std::string printable(std::string_view text);
/// The same line by line: line ends stay.
std::string printable_lines(std::string_view text);

}  // namespace bnrun::cli
