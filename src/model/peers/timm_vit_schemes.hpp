// How timm's VisionTransformer names its tensors.
#pragma once

#include "model/peers/peer_names.hpp"

namespace vlalign {

/// AttentionPoolLatent among them, of a tower "visual." under "visual.trunk."; the tower's own scheme is the last.
/// Where keys have no bias, q_bias and v_bias stand beside the fused weight.
NamingSchemes timm_vit_schemes(const VitConfig& vit);

}  // namespace vlalign
