// The subcommands of bntrain.
#pragma once

#include "common/program.h"

namespace bnrun {

void add_fit(cli::Program& program);
void add_eval(cli::Program& program);
void add_compare(cli::Program& program);
void add_tune(cli::Program& program);

}  // namespace bnrun
