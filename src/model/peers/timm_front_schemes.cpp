#include "model/peers/timm_front_schemes.hpp"

namespace vlalign {

NamingScheme timm_front_scheme() {
  return {.scope = "visual.front.",
          .renames = {{"visual.front.", "visual.trunk.patch_embed.backbone."}},
          .trailing_ones = {{"_1x1.weight", 2}, {".expand.weight", 2}}};
}

}  // namespace vlalign
