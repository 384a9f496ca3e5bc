// Where a run stands that isn't over, and what it was found to do so far. Internal.
#pragma once

#include <string>

#include "vlalign/report/report.hpp"

namespace vlalign {

/// A bar of the steps done, with the time that is left and when the page was written; nothing of a run that is over.
std::string progress_section(const ReportInput& input);

/// A card a validation with its latest figure; of a run that is over and has none, that it was not tested.
std::string latest_validations_section(const ReportInput& input);

}  // namespace vlalign
