#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vlalign/config/model_config.hpp"
#include "vlalign/core/export.hpp"

namespace vlalign {

/// The names of the models that preset() knows: those of open_clip's model_configs, such as "RN50", "ViT-B-32" or
/// "ViT-B-16-SigLIP", then "align-base" and "tiny".
VLALIGN_EXPORT std::vector<std::string> preset_names();

/// A named model, whose sizes are those of open_clip's model_configs. Throws Error that lists the names for another
/// one.
VLALIGN_EXPORT ModelConfig preset(std::string_view name);

}  // namespace vlalign
