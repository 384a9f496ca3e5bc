// The report's style sheet and script. Internal.
#pragma once

#include <string_view>

namespace vlalign {

extern const std::string_view report_style;
extern const std::string_view report_script;

}  // namespace vlalign
