// What each row of a batch should match. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "loss/checked_batch.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Throws Error unless groups are int64 [B], soft targets are [B, B], finite and not negative, and at most one of them
/// is there. Soft targets made by rows are checked when they are used.
void check_targets(const ContrastiveBatch& batch, std::string_view loss);

/// The weights w_ij with which row i wants column j, applied to the columns' embeddings without ever being written out
/// where they are ids, and a few rows at a time where they are soft targets.
struct Wanted {
  at::Tensor product;  ///< [n], x_i sum_j w_ij y_j
  at::Tensor weight;   ///< [n], sum_j w_ij; undefined: 1 each
};

/// What the own images want of the texts, and the own texts of the images (soft targets are then read along their
/// columns).
struct WantedBothWays {
  Wanted texts, images;
};
WantedBothWays wanted(const ContrastiveBatch& batch, const Pairs& pairs, std::string_view loss);

}  // namespace vlalign
