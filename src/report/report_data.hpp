// What the report's script draws, as JSON. Internal.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/contact_sheet.hpp"
#include "report/report_view.hpp"

namespace vlalign {

/// A column of the training metrics that the report draws as a curve.
struct ReportCurve {
  std::string name;
  std::string unit;
  bool from_zero = true;                        ///< whether the axis begins at zero
  const std::vector<double>* values = nullptr;  ///< one a step
};

/// The columns that have values. Throws Error when one is not as long as the steps.
std::vector<ReportCurve> report_curves(const TrainingMetrics& metrics);

/// {"sheet": {"side", "columns", "rows"},
///  "curves": [{"name", "unit", "zero", "step", "mean", "low", "high"}], at most 400 points each, null where not finite
///  "tests": [{"matrix": {"pictures", "captions", "cosines"}, "map": [{"thumb", "text", "picture", "caption"}]}]}
std::string report_data_json(const ContactSheet& sheet, std::span<const ReportCurve> curves,
                             const std::vector<double>& steps, std::span<const ReportView> views);

}  // namespace vlalign
