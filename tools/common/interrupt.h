// SIGINT and SIGTERM end a program with 130 and 143, but never in the middle of writing a file.
#pragma once

namespace bnrun::cli {

void install_interrupt_handler();

/// Whether an interrupt waits: what lasts long should come to an end.
bool interrupted();

/// While one lives, an interrupt waits (a second one does not). Hold it around the writing of output files.
class DeferInterrupts {
 public:
  DeferInterrupts();
  ~DeferInterrupts();
  DeferInterrupts(const DeferInterrupts&) = delete;
  DeferInterrupts& operator=(const DeferInterrupts&) = delete;
};

}  // namespace bnrun::cli
