#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// Known lists of templates by name, for evaluate_zero_shot(): "openai" are the 80 with which CLIP is evaluated on
/// ImageNet (Radford et al. 2021, 3.1.4), "simple" the seven of them that its authors found to do nearly as well.
/// Throws Error naming the lists on any other name.
VLALIGN_EXPORT std::vector<std::string> templates(std::string_view list);

/// The names that templates() knows.
VLALIGN_EXPORT std::vector<std::string> template_lists();

}  // namespace vlalign
