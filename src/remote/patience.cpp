#include "remote/patience.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

#include "core/check.hpp"
#include "core/log.hpp"
#include "remote/remote_error.hpp"
#include "remote/remote_options.hpp"

namespace vlalign {
namespace {

constexpr double longest_wait_s = 10;
constexpr double longest_asked_wait_s = 60;
constexpr int told_fault = 3;  ///< who waits so long should know why
constexpr std::int64_t enough_progress = 64 << 10;

/// Between a half and one.
double jitter() {
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<double>(0.5, 1)(random);
}

}  // namespace

Patience::Patience(std::string location, std::stop_token stop)
    : location_(std::move(location)), stop_(std::move(stop)) {}

void Patience::wait_after(const std::string& fault, double retry_after_s) {
  const auto options = remote_options();
  if (++faults_ >= options.attempts)
    throw RemoteError(
        fmt::format("{}: {}{}", location_, fault, faults_ > 1 ? fmt::format(", {} times in a row", faults_) : ""), 0);
  if (faults_ == told_fault) log_warning("{}: {}, {} times in a row; it is tried again", location_, fault, faults_);
  const auto doubled = options.first_wait_s * std::pow(2, faults_ - 1);
  const auto wait =
      std::max(std::min(doubled, longest_wait_s) * jitter(), std::min(retry_after_s, longest_asked_wait_s));
  if (wait > longest_wait_s) log_warning("{}: {}; it is tried again in {:.0f} s", location_, fault, wait);
  if (!sleep_for(wait, stop_)) throw StoppedTransfer(location_ + ": the transfer was stopped");
  count_retry();
}

void Patience::progress(std::int64_t bytes) {
  progress_ += bytes;
  if (progress_ < enough_progress) return;
  progress_ = 0;
  faults_ = 0;
}

void persist(Patience& patience, const std::function<void()>& attempt) {
  for (;;) {
    std::optional<BrokenTransfer> broken;
    try {
      return attempt();
    } catch (const BrokenTransfer& fault) {
      broken = fault;
    }
    patience.wait_after(broken->what(), broken->retry_after_s());
  }
}

bool sleep_for(double seconds, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_for(lock, stop, std::chrono::duration<double>(seconds), [] { return false; });
  return !stop.stop_requested();
}

}  // namespace vlalign
