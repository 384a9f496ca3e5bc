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
  first_signal = 0;
  on_first_signal = &on_first_;
  struct sigaction note {};
  note.sa_handler = note_signal;
  note.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < signals.size(); ++i) {
    ::sigaction(signals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) ::sigaction(signals[i], &note, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
}

int StopSignals::first() const { return first_signal; }

}  // namespace vlalign::tool
