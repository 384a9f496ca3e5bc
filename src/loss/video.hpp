// What the losses on robot video have in common. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// The batch's frames, widened: [B, count, D]; throws Error "[loss] frames: ..." otherwise, and unless `own` is a range
/// of them.
///   meaning: of the frames of a clip, for the message
at::Tensor checked_frames(const ContrastiveBatch& batch, std::string_view loss, std::int64_t count,
                          std::string_view meaning);

constexpr std::string_view frames_of_value = "start, one, the next, goal";

/// VIP's loss of the values V(o_0), V(o_t) and V(o_{t+1}), each [B].
at::Tensor value_loss(const at::Tensor& start, const at::Tensor& now, const at::Tensor& next, double gamma);

/// Throws Error "[loss] gamma: ..." unless it is 0 to below 1.
void check_discount(double gamma, std::string_view loss);

}  // namespace vlalign
