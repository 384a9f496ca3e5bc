// transformers' DINOv3ConvNextModel, which is a ConvNeXt under other names.
#pragma once

#include "core/json/json_section.hpp"
#include "model/peers/peer_names.hpp"

namespace vlalign {

/// Of a config.json with model_type "dinov3_convnext". Throws Error, naming the key, for what isn't built here.
ConvNextConfig read_dinov3_convnext(JsonSection& section);

/// Names relative to the tower, in both.
NamingSchemes dinov3_convnext_schemes(const ConvNextConfig& config);

}  // namespace vlalign
