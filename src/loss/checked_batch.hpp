// What the losses check and prepare in common. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "vlalign/loss/tiled.hpp"

namespace vlalign {

/// float32, or float64 for float64.
at::Tensor widened(const at::Tensor& x);

/// Images and texts of a batch, widened.
struct Pairs {
  at::Tensor image, text;  // [B, D]
  std::int64_t size() const { return image.size(0); }
};

/// Throws Error "[loss] field: ..." unless image and text are both [B, D] of unit (or zero) rows, B >= smallest.
Pairs checked_pairs(const ContrastiveBatch& batch, std::string_view loss, std::int64_t smallest = 1);

/// The logit scale in the dtype of `like`; throws Error unless it is a scalar.
at::Tensor checked_scale(const ContrastiveBatch& batch, std::string_view loss, const at::Tensor& like);

/// `rows`, widened; throws Error unless they are unit (or zero) rows [B, D].
at::Tensor checked_unit_rows(const at::Tensor& rows, std::string_view loss, std::string_view field);

/// This process's rows of the batch.
RowRange own_rows(const ContrastiveBatch& batch);
at::Tensor narrowed(const at::Tensor& rows, RowRange range);

/// sum_i x_i . y_i of rows, without making the products' matrix: a scalar [].
at::Tensor sum_of_products(const at::Tensor& x, const at::Tensor& y);

/// The logit of each own image with its own text: [n].
at::Tensor matching_logits(const Pairs& pairs, const at::Tensor& scale, RowRange own);

/// Drops the logit of each pair with itself.
PairFilter except_own_pair(const Pairs& pairs);

/// log_sum_exp of the own images over all texts (rows) and of the own texts over all images (columns).
LogSumExp both_directions(const Pairs& pairs, const at::Tensor& scale, RowRange own, const PairFilter& filter = {});

}  // namespace vlalign
