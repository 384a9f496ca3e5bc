// Trying again, ever more slowly. Internal.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

namespace vlalign {

/// Counts the faults of one task, and waits after each.
class Patience {
 public:
  ///   location: whose task it is, for messages
  Patience(std::string location, std::stop_token stop);

  /// Waits, longer each time and never to the same moment as others do. Throws Error when it was the last attempt,
  /// StoppedTransfer when it was stopped.
  void wait_after(const std::string& fault, double retry_after_s);

  /// What brings the task forward makes earlier faults forgotten; a few bytes don't.
  void progress(std::int64_t bytes);

 private:
  std::string location_;
  std::stop_token stop_;
  int faults_ = 0;
  std::int64_t progress_ = 0;
};

/// Calls `attempt` until it throws no BrokenTransfer, as long as there is patience.
void persist(Patience& patience, const std::function<void()>& attempt);

/// False when it was stopped before.
bool sleep_for(double seconds, const std::stop_token& stop);

}  // namespace vlalign
