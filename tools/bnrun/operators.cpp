// bnrun operators: what the engine can run.
#include "bnrun/operators.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "commands.h"

namespace bnrun {
namespace {

void print_markdown() {
  fmt::print("| domain | operator | opset versions |\n|---|---|---|\n");
  for (const auto& op : supported_operators()) {
    fmt::print("| {} | {} | {} |\n", op.domain.empty() ? "ai.onnx" : op.domain, op.name,
               fmt::join(op.versions, " "));
  }
}

void print_plain() {
  for (const auto& op : supported_operators()) {
    fmt::print("{}{}{} {}\n", op.domain, op.domain.empty() ? "" : ".", op.name, fmt::join(op.versions, ","));
  }
}

}  // namespace

void add_operators(cli::Program& program) {
  const auto markdown = std::make_shared<bool>(false);
  auto& command =
      program.add("operators", "List the operators that run, with the opset versions at which they changed",
                  "  bnrun operators\n"
                  "  bnrun operators --markdown",
                  [markdown] {
                    *markdown ? print_markdown() : print_plain();
                    return cli::kDone;
                  });
  command.add_flag("--markdown", *markdown, "As a table");
}

}  // namespace bnrun
