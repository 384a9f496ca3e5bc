// The door through which every loss goes: what they check and prepare in common. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "vlalign/loss/tiled.hpp"

namespace vlalign {

/// float32, or float64 for float64.
at::Tensor widened(const at::Tensor& x);

/// Rows of two kinds that belong together, widened, and those of them that this process answers for. The texts of a
/// batch, or what stands in their place.
struct Pairs {
  at::Tensor image, text;  // [B, D]
  tiles::RowRange own;
  std::int64_t size() const { return image.size(0); }
};

/// The images and texts. Throws Error "[loss] field: ..." unless both are floating [B, D] of unit (or zero) rows, B >=
/// smallest, on one device and of one dtype once they are widened, and `own` is a range of their rows. NaN goes
/// through: the loss is NaN then, and its user decides.
Pairs checked_pairs(const ContrastiveBatch& batch, std::string_view loss, std::int64_t smallest = 1);

/// The same for the images and their second views.
Pairs checked_views(const ContrastiveBatch& batch, std::string_view loss);

/// Throws Error unless they are floating [B, D] with at least a number.
void check_shape(const at::Tensor& rows, std::string_view loss, std::string_view field);

/// `rows`, widened; throws Error unless they are unit (or zero) rows [B, D].
at::Tensor checked_unit_rows(const at::Tensor& rows, std::string_view loss, std::string_view field);

/// Throws Error unless x and `like` have one dtype, once they are widened, and one device.
void check_alike(const at::Tensor& x, const at::Tensor& like, std::string_view loss, std::string_view field,
                 std::string_view like_field);

/// The batch's `own`, all `size` rows without it; throws Error unless it is some of them.
tiles::RowRange checked_own(const ContrastiveBatch& batch, std::string_view loss, std::int64_t size);

/// A finite scalar in the dtype and on the device of `like`; throws Error otherwise.
at::Tensor checked_scalar(const at::Tensor& scalar, std::string_view loss, std::string_view field,
                          const at::Tensor& like);

/// The same for a multiplier of cosines, which must be above 0.
at::Tensor checked_scale(const at::Tensor& scale, std::string_view loss, std::string_view field,
                         const at::Tensor& like);
at::Tensor checked_scale(const ContrastiveBatch& batch, std::string_view loss, const at::Tensor& like);

at::Tensor narrowed(const at::Tensor& rows, tiles::RowRange range);

/// x_i . y_i of rows, [n], without making the products' matrix.
at::Tensor row_products(const at::Tensor& x, const at::Tensor& y);

/// The logit of each own image with its own text: [n].
at::Tensor matching_logits(const Pairs& pairs, const at::Tensor& scale);

/// Drops the logit of each pair with itself.
tiles::PairFilter except_own_pair(const Pairs& pairs);

/// log_sum_exp of the own images over all texts (rows) and of the own texts over all images (columns).
tiles::LogSumExp both_directions(const Pairs& pairs, const at::Tensor& scale, const tiles::PairFilter& filter = {});

}  // namespace vlalign
