// Curves beside each other, which the script draws. Internal.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "vlalign/eval/curves.hpp"

namespace vlalign {

struct ChartLine {
  std::string name;              ///< in the legend; empty for a line that is alone
  const Curve* curve = nullptr;  ///< not empty
  int colour = 0;                ///< its place in the palette: of a run the same in all charts
};

struct Chart {
  std::string name;
  std::string unit{};
  bool from_zero = true;  ///< whether the axis begins at zero
  bool percent = false;   ///< shares, shown in percent
  std::vector<ChartLine> lines{};
};

/// {"name", "unit", "zero", "percent", "lines": [{"name", "colour", "step", "mean", "low", "high"}]}, null where not
/// finite; low and high only where a point stands for several values.
nlohmann::ordered_json chart_json(const Chart& chart);

/// What a number stands for the eye: five significant digits, null when not finite.
nlohmann::ordered_json legible(double value);

/// The places of charts, which are called #chart-FIRST and so on.
std::string chart_figures(std::span<const Chart> charts, std::size_t first);

/// The columns of a run's metrics that have values.
std::vector<Chart> training_charts(const TrainingCurves& curves);

/// A chart a key with a line for each validation that has it: those to look at first, and the others.
struct ValidationCharts {
  std::vector<Chart> first, others;
};
ValidationCharts validation_charts(const ValidationCurves& validations);

}  // namespace vlalign
