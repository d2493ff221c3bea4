// The subcommands of bnfold: each adds itself to the program.
#pragma once

#include "common/program.h"

namespace bnrun {

void add_fold(cli::Program& program);
void add_verify(cli::Program& program);

}  // namespace bnrun
