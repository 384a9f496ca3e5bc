// Internal.
#pragma once

#include <optional>

#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// batch_accuracy() as a float64 scalar [] that is still on the device.
///   own: the rows it is that of, all of them without it; 0 of no rows
at::Tensor accuracy_on_device(const at::Tensor& image, const at::Tensor& text, std::optional<tiles::RowRange> own = {});

}  // namespace vlalign
