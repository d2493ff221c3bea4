#include "common/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace bnrun::cli {
namespace {

std::atomic<int> deferrals{0};
std::atomic<int> pending{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler uses them");

extern "C" void on_interrupt(int signal) {
  if (deferrals.load() > 0 && pending.exchange(signal) == 0) return;
  ::_exit(128 + signal);
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() {
  return pending.load() != 0;
}

DeferInterrupts::DeferInterrupts() {
  ++deferrals;
}

DeferInterrupts::~DeferInterrupts() {
  if (--deferrals == 0 && pending.load() != 0) ::_exit(128 + pending.load());
}

}  // namespace bnrun::cli
