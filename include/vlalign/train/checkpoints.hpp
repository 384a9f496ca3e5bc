#pragma once

#include <cstdint>
#include <string_view>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// When a run writes checkpoints, and which of them it keeps. The last step's is always written, and the newest whole
/// one is never deleted, nor is the best (ValidationOptions::best).
struct CheckpointOptions {
  std::int64_t every = 0;       ///< steps; 0: not by steps
  double every_minutes = 0;     ///< since the one before; 0: not by time
  std::int64_t keep_last = 0;   ///< how many of the newest are kept; 0: all
  std::int64_t keep_every = 0;  ///< with keep_last: those of steps that divide by this are kept too; 0: none
  /// Where a checkpoint finds the disk full and no older one may be deleted: the run ends with an Error. Without it the
  /// run says so, goes on with the last whole checkpoint, and tries again when the next one is due.
  bool stop_on_full_disk = false;
};

/// What happens after a step whose loss, gradient or batch norm statistics aren't finite. Its records are named in the
/// run folder's non_finite.jsonl. Weights, statistics, average and moments are left alone in any case.
enum class NonFinite {
  skip,  ///< the next step; ten in a row, or most of all, end the run with an Error
  stop,  ///< the run ends with an Error
  /// Back to the last checkpoint, whose weights go on behind this step: the batches in between are passed over too, as
  /// Chowdhery et al. 2022 (PaLM, section 5.1) do against loss spikes. Without a checkpoint, as skip.
  rewind,
};

/// "skip", "stop" or "rewind"; throws Error naming them on anything else.
VLALIGN_EXPORT NonFinite parse_non_finite(std::string_view name);
VLALIGN_EXPORT std::string_view to_string(NonFinite policy);

}  // namespace vlalign
