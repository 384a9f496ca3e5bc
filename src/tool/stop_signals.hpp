// Signals that ask the process to end.
#pragma once

#include <array>
#include <csignal>
#include <functional>
#include <vector>

namespace vlalign::tool {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP is noted, and a second one ends the process at once, as the
/// first would without it. One that the process ignores stays ignored, as nohup wants it. There is one of them at a
/// time, made on the main thread, which the system prefers for signals: its handler has a stack of its own there, since
/// oneDNN's matrix kernels put the thread's stack pointer into small buffers, behind which a signal's frame would lie.
class StopSignals {
 public:
  ///   on_first: called where the first comes, in its handler: does only what a handler may
  explicit StopSignals(std::function<void()> on_first = {});
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();

  /// Which one came first; 0: none did.
  int first() const;

 private:
  static constexpr std::array signals{SIGINT, SIGTERM, SIGHUP};
  std::function<void()> on_first_;
  std::array<struct sigaction, signals.size()> before_{};
  std::vector<char> stack_;
  stack_t stack_before_{};
};

}  // namespace vlalign::tool
