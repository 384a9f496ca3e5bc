#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// A loss by name with its paper's settings, or a sum of several with weights, which may change from one share of the
/// run to another: "infonce", "infonce+0.5*simclr", "infonce+0:0.5@0:0.1*cyclip". make_loss(loss->name()) is of the
/// same name for every loss of the library and sums of them. Throws Error naming what there is on anything else.
VLALIGN_EXPORT AnyLoss make_loss(std::string_view text);

/// The names that make_loss knows and the trainer can feed from image-text pairs.
VLALIGN_EXPORT std::vector<std::string> loss_names();

}  // namespace vlalign
