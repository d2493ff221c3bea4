// Counts every operator new of the test program, the engine's library included.
#pragma once

#include <cstddef>

namespace bnrun::testing {

/// Calls of any operator new by any thread so far.
std::size_t allocations();

}  // namespace bnrun::testing
