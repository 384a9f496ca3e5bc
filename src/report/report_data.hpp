// What the report's script draws, as JSON. Internal.
#pragma once

#include <span>
#include <string>

#include "report/chart.hpp"
#include "report/contact_sheet.hpp"
#include "report/report_view.hpp"

namespace vlalign {

/// {"sheet": {"side", "columns", "rows"},
///  "charts": [chart_json()],
///  "tests": [{"matrix": {"pictures", "captions", "cosines"}, "map": [{"thumb", "text", "picture", "caption"}]}]}
std::string report_data_json(const ContactSheet& sheet, std::span<const Chart> charts,
                             std::span<const ReportView> views);

}  // namespace vlalign
