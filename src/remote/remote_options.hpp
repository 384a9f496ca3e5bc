// How patient reads from other machines are, and what they have cost so far. Internal.
#pragma once

#include <cstdint>

namespace vlalign {

struct RemoteOptions {
  double timeout_s = 30;       ///< no connection, or no further byte, for so long is a fault
  int attempts = 6;            ///< in a row without progress, the first one counted
  double first_wait_s = 0.25;  ///< before the second attempt; doubled each time, to 10 s at most
};

/// As above, with what $VLALIGN_REMOTE_TIMEOUT (in seconds) and $VLALIGN_REMOTE_ATTEMPTS say; throws Error when one of
/// these isn't a number above 0.
RemoteOptions remote_options_of_environment();

/// Of the process; until they are set, those of the environment when they were asked for first.
RemoteOptions remote_options();
void set_remote_options(const RemoteOptions& options);

/// Of the process, since it began.
struct TransferCounts {
  std::int64_t requests = 0;  ///< that were sent, those sent again among them
  std::int64_t retries = 0;
  std::int64_t bytes = 0;                         ///< of bodies that came
  std::int64_t cache_hits = 0, cache_misses = 0;  ///< reads of remote shards: of a copy, or by ranges
};

TransferCounts transfer_counts();

void count_request();
void count_retry();
void count_bytes(std::int64_t bytes);
void count_cache(bool hit);

}  // namespace vlalign
