#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// Several run folders on one HTML page that needs no network: settings that differ, final figures with their 95%
/// intervals and whether each run's difference from the baseline is more than chance (paired_bootstrap on the same
/// test), and the curves of all over steps, training time or pairs seen. Runs that still train, have failed or were
/// written by older versions are shown with what they have.
///   baseline: one of the runs, or another; without it the first run
///
/// Throws Error naming a folder that is no run, or is named twice, and where there is no run at all.
VLALIGN_EXPORT std::string comparison_html(const std::vector<std::filesystem::path>& runs,
                                           const std::optional<std::filesystem::path>& baseline = {});

/// Writes comparison_html to a file, whole or not at all. What it may replace is as for write_report().
VLALIGN_EXPORT void write_comparison(const std::vector<std::filesystem::path>& runs, const std::filesystem::path& file,
                                     const std::optional<std::filesystem::path>& baseline = {});

}  // namespace vlalign
