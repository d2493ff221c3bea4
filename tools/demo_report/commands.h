// The parts of the demo that compute and draw; tools/demo calls them between the programs it shows.
#pragma once

#include "common/program.h"

namespace bnrun {

void add_curves(cli::Program& program);
void add_timing(cli::Program& program);
void add_digits(cli::Program& program);

}  // namespace bnrun
