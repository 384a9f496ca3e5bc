#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vlalign/config/model_config.hpp"
#include "vlalign/core/export.hpp"

namespace vlalign {

/// The named models, sizes as in open_clip's model_configs ("RN50", "ViT-B-32", "ViT-B-32-quickgelu",
/// "ViT-B-16-SigLIP",
/// ...), "align-base", and "tiny".
VLALIGN_EXPORT std::vector<std::string> preset_names();

/// Throws Error listing the presets when there is none of that name.
VLALIGN_EXPORT ModelConfig preset(std::string_view name);

}  // namespace vlalign
