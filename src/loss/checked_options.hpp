// What the losses' constructors check. Internal.
#pragma once

#include <string_view>

namespace vlalign {

/// Throws Error "[loss] option: ..." unless it is above 0 and within what float32 holds.
void check_positive(double value, std::string_view loss, std::string_view option);

/// The same for 0 and more.
void check_not_negative(double value, std::string_view loss, std::string_view option);

}  // namespace vlalign
