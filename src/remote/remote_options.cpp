#include "remote/remote_options.hpp"

#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string_view>

#include "core/check.hpp"

namespace vlalign {
namespace {

std::mutex mutex;
std::optional<RemoteOptions> chosen;

std::atomic<std::int64_t> requests = 0, retries = 0, received = 0;

template <typename Number>
void take_variable(const char* name, Number& number) {
  const char* set = std::getenv(name);
  if (!set || !*set) return;
  const std::string_view text = set;
  Number read{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), read);
  const bool whole = fault == std::errc() && end == text.data() + text.size();
  check(whole && std::isfinite(static_cast<double>(read)) && read > 0, "{}={}: should be a number above 0", name, text);
  number = read;
}

RemoteOptions options_of_environment() {
  RemoteOptions options;
  take_variable("VLALIGN_REMOTE_TIMEOUT", options.timeout_s);
  take_variable("VLALIGN_REMOTE_ATTEMPTS", options.attempts);
  return options;
}

}  // namespace

RemoteOptions remote_options() {
  const std::lock_guard lock(mutex);
  if (!chosen) chosen = options_of_environment();
  return *chosen;
}

void set_remote_options(const RemoteOptions& options) {
  check(options.timeout_s > 0 && options.attempts > 0 && options.first_wait_s >= 0,
        "remote options: timeout_s {} and attempts {} should be above 0, first_wait_s {} at least 0", options.timeout_s,
        options.attempts, options.first_wait_s);
  const std::lock_guard lock(mutex);
  chosen = options;
}

TransferCounts transfer_counts() { return {requests, retries, received}; }
void count_request() { ++requests; }
void count_retry() { ++retries; }
void count_bytes(std::int64_t bytes) { received += bytes; }

}  // namespace vlalign
