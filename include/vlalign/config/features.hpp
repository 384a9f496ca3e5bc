#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// What a tower gives on the way to its embedding, for policies and probes. What it has none of is undefined.
struct Features {
  at::Tensor embedding;            ///< [B, D], unit rows, float32: the point in the joint space
  at::Tensor pooled;               ///< [B, W], the tower's vector before the projection
  at::Tensor tokens;               ///< patches [B, N, W] (no class token), the values a ModifiedResNet's attention pool
                                   ///< sees, or text [B, L, W], after the final norm
  at::Tensor map;                  ///< convolutional towers: the last feature map [B, C, H, W]
  at::Tensor mask;                 ///< text: bool [B, L], false where padding stands
  std::vector<at::Tensor> hidden;  ///< outputs of the layers asked for, in that order, before any final norm: tokens
                                   ///< with the class token [B, N (+ 1), W], or maps [B, C, H, W]
};

/// Patches, words, or the places of a convolutional tower's last map, row by row: [B, N, W]; undefined where there are
/// none.
VLALIGN_EXPORT at::Tensor places(const Features& features);

}  // namespace vlalign
