// The subcommands of bnrun: each adds itself to the program.
#pragma once

#include "common/program.h"

namespace bnrun {

void add_bench(cli::Program& program);
void add_inspect(cli::Program& program);
void add_operators(cli::Program& program);
void add_predict(cli::Program& program);
void add_profile(cli::Program& program);
void add_run(cli::Program& program);
void add_test(cli::Program& program);

}  // namespace bnrun
