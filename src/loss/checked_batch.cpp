#include "loss/checked_batch.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/dot.h>

#include "core/check.hpp"

namespace vlalign {
namespace {

/// How far from 1 a row's length may be: bfloat16 rounds each number to 1/256 of itself.
constexpr double length_margin = 0.01;

void check_lengths(const at::Tensor& rows, std::string_view loss, std::string_view field) {
  const auto lengths = rows.detach().norm(2, 1);
  const auto wrong = ((lengths - 1).abs() > length_margin).logical_and(lengths != 0).nonzero();
  if (wrong.size(0) == 0) return;
  const auto row = wrong[0][0].item<std::int64_t>();
  fail("[{}] {}: expected unit rows, but row {} has length {:.3g}; l2_normalize() makes them", loss, field, row,
       lengths[row].item<double>());
}

void check_shape(const at::Tensor& rows, std::string_view loss, std::string_view field) {
  check(rows.defined(), "[{}] {}: the batch has none", loss, field);
  check(rows.dim() == 2 && rows.size(0) > 0 && rows.is_floating_point(), "[{}] {}: expected floating [B, D], got {} {}",
        loss, field, c10::toString(rows.scalar_type()), rows.sizes().vec());
}

}  // namespace

at::Tensor widened(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

at::Tensor checked_unit_rows(const at::Tensor& rows, std::string_view loss, std::string_view field) {
  check_shape(rows, loss, field);
  auto wide = widened(rows);
  check_lengths(wide, loss, field);
  return wide;
}

Pairs checked_pairs(const ContrastiveBatch& batch, std::string_view loss, std::int64_t smallest) {
  check_shape(batch.image, loss, "image");
  check_shape(batch.text, loss, "text");
  check(batch.text.sizes() == batch.image.sizes(), "[{}] text: expected {}, got {}", loss, batch.image.sizes().vec(),
        batch.text.sizes().vec());
  check(batch.image.size(0) >= smallest, "[{}] image: {} pair has no negatives; expected at least {}", loss,
        batch.image.size(0), smallest);
  return {checked_unit_rows(batch.image, loss, "image"), checked_unit_rows(batch.text, loss, "text")};
}

at::Tensor checked_scale(const ContrastiveBatch& batch, std::string_view loss, const at::Tensor& like) {
  check(batch.logit_scale.defined() && batch.logit_scale.numel() == 1, "[{}] logit_scale: expected a scalar []", loss);
  return batch.logit_scale.to(like.options()).reshape({});
}

RowRange own_rows(const ContrastiveBatch& batch) { return batch.own.value_or(RowRange{0, batch.image.size(0)}); }

at::Tensor narrowed(const at::Tensor& rows, RowRange range) { return rows.narrow(0, range.begin, range.count); }

at::Tensor sum_of_products(const at::Tensor& x, const at::Tensor& y) { return at::dot(x.reshape(-1), y.reshape(-1)); }

at::Tensor matching_logits(const Pairs& pairs, const at::Tensor& scale, RowRange own) {
  return scale * (narrowed(pairs.image, own) * narrowed(pairs.text, own)).sum(1);
}

PairFilter except_own_pair(const Pairs& pairs) {
  const auto ids = at::arange(pairs.size(), pairs.image.options().dtype(at::kLong));
  return {.keep = PairFilter::Keep::different, .row_ids = ids, .column_ids = ids};
}

LogSumExp both_directions(const Pairs& pairs, const at::Tensor& scale, RowRange own, const PairFilter& filter) {
  if (own.count == pairs.size()) return log_sum_exp(pairs.image, pairs.text, scale, filter);
  auto own_filter = filter;
  if (filter.keep != PairFilter::Keep::all) own_filter.row_ids = narrowed(filter.row_ids, own);
  return {.rows = log_sum_exp(narrowed(pairs.image, own), pairs.text, scale, own_filter).rows,
          .columns = log_sum_exp(narrowed(pairs.text, own), pairs.image, scale, own_filter).rows};
}

}  // namespace vlalign
