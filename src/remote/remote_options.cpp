#include "remote/remote_options.hpp"

#include <atomic>
#include <charconv>
#include <cmath>
#include <mutex>
#include <optional>
#include <string>

#include "core/check.hpp"
#include "remote/environment.hpp"

namespace vlalign {
namespace {

std::mutex options_mutex;
std::optional<RemoteOptions> chosen_options;

std::atomic<std::int64_t> requests_sent = 0, requests_retried = 0, bytes_received = 0;
std::atomic<std::int64_t> cache_hits = 0, cache_misses = 0;

template <typename Number>
void take_variable(const char* name, Number& number) {
  const auto text = environment(name);
  if (text.empty()) return;
  Number read{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), read);
  const bool whole = fault == std::errc() && end == text.data() + text.size();
  check(whole && std::isfinite(static_cast<double>(read)) && read > 0, "{}={}: should be a number above 0", name, text);
  number = read;
}

}  // namespace

RemoteOptions remote_options_of_environment() {
  RemoteOptions options;
  take_variable("VLALIGN_REMOTE_TIMEOUT", options.timeout_s);
  take_variable("VLALIGN_REMOTE_ATTEMPTS", options.attempts);
  return options;
}

RemoteOptions remote_options() {
  const std::lock_guard lock(options_mutex);
  if (!chosen_options) chosen_options = remote_options_of_environment();
  return *chosen_options;
}

void set_remote_options(const RemoteOptions& options) {
  check(options.timeout_s > 0 && options.attempts > 0 && options.first_wait_s >= 0,
        "remote options: timeout_s {} and attempts {} should be above 0, first_wait_s {} at least 0", options.timeout_s,
        options.attempts, options.first_wait_s);
  const std::lock_guard lock(options_mutex);
  chosen_options = options;
}

TransferCounts transfer_counts() { return {requests_sent, requests_retried, bytes_received, cache_hits, cache_misses}; }
void count_request() { ++requests_sent; }
void count_retry() { ++requests_retried; }
void count_bytes(std::int64_t bytes) { bytes_received += bytes; }
void count_cache(bool hit) { ++(hit ? cache_hits : cache_misses); }

}  // namespace vlalign
