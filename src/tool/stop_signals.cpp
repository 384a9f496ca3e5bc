#include "tool/stop_signals.hpp"

#include <atomic>
#include <utility>

namespace vlalign::tool {
namespace {

std::atomic<int> first_signal = 0;
static_assert(decltype(first_signal)::is_always_lock_free);  // handlers may run on several threads
const std::function<void()>* on_first_signal = nullptr;      // changes only while no handler is in place

void note_signal(int signal) {
  int none = 0;
  if (!first_signal.compare_exchange_strong(none, signal)) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);  // is held back until this handler has returned
    return;
  }
  if (*on_first_signal) (*on_first_signal)();
}

}  // namespace

StopSignals::StopSignals(std::function<void()> on_first) : on_first_(std::move(on_first)) {
  constexpr std::size_t stack_bytes = std::size_t{1}
                                      << 18;  // a frame with AVX-512's or AMX's registers takes up to 12 KB
  first_signal = 0;
  on_first_signal = &on_first_;
  stack_.resize(stack_bytes);
  stack_t own{};
  own.ss_sp = stack_.data();
  own.ss_size = stack_.size();
  ::sigaltstack(&own, &stack_before_);
  struct sigaction note {};
  note.sa_handler = note_signal;
  note.sa_flags = SA_RESTART | SA_ONSTACK;
  for (std::size_t i = 0; i < signals.size(); ++i) {
    ::sigaction(signals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) ::sigaction(signals[i], &note, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
  ::sigaltstack(&stack_before_, nullptr);
}

int StopSignals::first() const { return first_signal; }

}  // namespace vlalign::tool
