// What a loss must give. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// loss.forward(batch). Throws Error, whose message begins with `where`, unless that is a floating scalar [] and, where
/// gradients are recorded, has one.
at::Tensor checked_value(const ContrastiveLoss& loss, const ContrastiveBatch& batch, std::string_view where = {});

}  // namespace vlalign
