// What a run's mirror in S3 holds, and how it becomes a run folder again. Internal.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>

namespace vlalign {

struct MirroredRun {
  std::string url;                    ///< s3://bucket/prefix, without a slash at its end
  std::optional<std::string> config;  ///< config.json's text; none where no run is
  std::string latest;                 ///< the newest whole checkpoint's name; empty where there is none yet
};

/// Files of a run folder that get a line now and then.
inline constexpr std::array run_logs{"metrics.jsonl", "validation.jsonl", "norms.jsonl", "non_finite.jsonl"};

/// Without slashes at its end.
std::string mirror_url(std::string option);

/// Throws Error when the bucket isn't there or may not be read, and for a mirror that nothing can go on from.
MirroredRun look_at_mirror(const std::string& url);

/// Fetches config.json, the logs, events, the newest checkpoint and the best into a run folder without a checkpoint,
/// which may be missing. All has come before the first name is there; a kill between the names leaves a run without a
/// checkpoint, of which this is called again. Throws Error, and leaves no more than an empty folder, when something
/// can't be read, and when the folder holds something else than a run.
void fetch_run(const MirroredRun& mirrored, const std::filesystem::path& run);

}  // namespace vlalign
