// How timm names the tensors of its ViTs behind convolutions.
#pragma once

#include "model/peers/peer_names.hpp"

namespace vlalign {

/// Of the front of a tower "visual." under "visual.trunk.".
NamingScheme timm_front_scheme();

}  // namespace vlalign
