// The comparison's parts as HTML. Internal.
#pragma once

#include <span>
#include <string>

#include "report/chart.hpp"
#include "report/run_record.hpp"

namespace vlalign {

/// A button a run, which shows and hides its curves, with how far it is.
///   baseline: its place among the runs
std::string runs_section(std::span<const RunRecord> runs, std::size_t baseline);

/// A table of the settings in which runs differ.
std::string settings_section(std::span<const RunRecord> runs);

/// For each test its foremost figures beside each other with their intervals, and a table of all.
std::string final_figures_section(std::span<const RunRecord> runs, std::size_t baseline);

/// The places of the charts of #data, and the switch of what they are over.
std::string run_curves_section(std::span<const Chart> first, std::span<const Chart> others);

}  // namespace vlalign
