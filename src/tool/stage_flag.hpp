// --stage.
#pragma once

#include <string_view>

#include "vlalign/train/stage.hpp"

namespace vlalign::tool {

/// "SHARE:image_size=..,context_length=..,patch_dropout=..", each of the keys once or not at all. Throws Error naming
/// the part that isn't so.
Stage parse_stage(std::string_view text);

}  // namespace vlalign::tool
