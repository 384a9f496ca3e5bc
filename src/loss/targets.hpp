// What each row of a batch should match. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Throws Error unless groups are int64 [B], soft targets are [B, B], finite and not negative, and at most one of them
/// is there.
void check_targets(const ContrastiveBatch& batch, std::string_view loss);

/// The weights w_ij with which row i wants column j, applied to the columns' embeddings without ever being written out
/// where they are ids.
struct Wanted {
  at::Tensor sum;     ///< [n, D], sum_j w_ij y_j
  at::Tensor weight;  ///< [n], sum_j w_ij; undefined: 1 each
};

/// Rows `rows` of the images want texts, or the other way round (transposed: soft targets are read along their
/// columns).
Wanted wanted_texts(const ContrastiveBatch& batch, const at::Tensor& text, RowRange rows);
Wanted wanted_images(const ContrastiveBatch& batch, const at::Tensor& image, RowRange rows);

}  // namespace vlalign
