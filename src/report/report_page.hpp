// The pages' style sheet and scripts. Internal.
#pragma once

#include <string_view>

namespace vlalign {

extern const std::string_view page_style;
extern const std::string_view charts_script;
extern const std::string_view report_script;
extern const std::string_view comparison_script;

}  // namespace vlalign
