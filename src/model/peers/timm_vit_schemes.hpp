// How timm's VisionTransformer names its tensors.
#pragma once

#include "model/peers/peer_names.hpp"

namespace vlalign {

/// AttentionPoolLatent among them, of a tower "visual." under "visual.trunk.".
NamingSchemes timm_vit_schemes();

}  // namespace vlalign
