// --stage of the program.
#pragma once

#include <string_view>

#include "vlalign/train/stage.hpp"

namespace vlalign::tool {

/// Reads "SHARE" or "SHARE:KEY=NUMBER,...", such as 0.8:image_size=112,context_length=16,patch_dropout=0.5; each key
/// may stand once. Throws Error naming the part that can't be read. Whether a model takes the numbers is the trainer's
/// to say.
Stage parse_stage(std::string_view text);

}  // namespace vlalign::tool
