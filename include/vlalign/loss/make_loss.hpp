#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// A loss by name with its paper's settings, or a sum of several with weights: "infonce", "infonce+0.5*simclr".
/// Throws Error naming what there is on anything else.
VLALIGN_EXPORT AnyLoss make_loss(std::string_view text);

/// The names that make_loss knows and the trainer can feed from image-text pairs.
VLALIGN_EXPORT std::vector<std::string> loss_names();

}  // namespace vlalign
