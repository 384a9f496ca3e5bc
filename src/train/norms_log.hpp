// RUN/norms.jsonl. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/event_file.hpp"
#include "train/group_norms.hpp"
#include "train/line_log.hpp"

namespace vlalign {

/// A line {"step", "groups": {"image.stem": {"parameter", "gradient", "update"}, ...}} for each step that is measured;
/// a number that isn't finite is null. TensorBoard gets "norms/parameter/image.stem" and the like, and the histograms.
class NormsLog {
 public:
  /// Cuts the file, where there is one, to the lines up to `step`.
  NormsLog(const std::filesystem::path& run, std::int64_t step);

  void add(std::int64_t step, const std::vector<GroupNorm>& norms,
           const std::vector<std::pair<std::string, Histogram>>& histograms, EventFile& events);

 private:
  std::filesystem::path path_;
  std::optional<LineLog> lines_;
};

}  // namespace vlalign
