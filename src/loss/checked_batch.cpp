#include "loss/checked_batch.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>

#include <cmath>

#include "core/check.hpp"

namespace vlalign {
namespace {

/// How far from 1 a row's length may be: bfloat16 rounds each number to 1/256 of itself.
constexpr double length_margin = 0.01;

/// Rows of a batch and what messages call them.
struct Field {
  const at::Tensor& rows;
  std::string_view name;
};

at::Tensor wrong_lengths(const at::Tensor& lengths) {
  return ((lengths - 1).abs() > length_margin).logical_and(lengths != 0);
}

at::Tensor lengths_of(const at::Tensor& rows) { return rows.detach().norm(2, 1); }

void fail_for_length(const at::Tensor& lengths, std::string_view loss, std::string_view field) {
  const auto wrong = wrong_lengths(lengths).nonzero();
  if (wrong.size(0) == 0) return;
  const auto row = wrong[0][0].item<std::int64_t>();
  fail("[{}] {}: expected unit rows, but row {} has length {:.3g}; l2_normalize() makes them", loss, field, row,
       lengths[row].item<double>());
}

at::Tensor scalar_like(const at::Tensor& scalar, std::string_view loss, std::string_view field,
                       const at::Tensor& like) {
  check(scalar.defined() && scalar.numel() == 1 && !scalar.is_complex(), "[{}] {}: expected a scalar []", loss, field);
  return scalar.to(like.options()).reshape({});
}

Pairs checked_fields(const Field& first, const Field& second, const ContrastiveBatch& batch, std::string_view loss,
                     std::int64_t smallest) {
  check_shape(first.rows, loss, first.name);
  check_shape(second.rows, loss, second.name);
  if (second.rows.sizes() != first.rows.sizes())
    fail("[{}] {}: expected {}, got {}", loss, second.name, first.rows.sizes().vec(), second.rows.sizes().vec());
  check(first.rows.size(0) >= smallest, "[{}] {}: {} pair has no negatives; expected at least {}", loss, first.name,
        first.rows.size(0), smallest);
  Pairs pairs{widened(first.rows), widened(second.rows), checked_own(batch, loss, first.rows.size(0))};
  check_alike(second.rows, pairs.image, loss, second.name, first.name);
  const auto lengths = lengths_of(pairs.image), second_lengths = lengths_of(pairs.text);
  // One wait for a GPU, not one for each.
  if (wrong_lengths(lengths).logical_or(wrong_lengths(second_lengths)).any().item<bool>()) {
    fail_for_length(lengths, loss, first.name);
    fail_for_length(second_lengths, loss, second.name);
  }
  return pairs;
}

}  // namespace

at::Tensor widened(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

void check_shape(const at::Tensor& rows, std::string_view loss, std::string_view field) {
  check(rows.defined(), "[{}] {}: the batch has none", loss, field);
  if (rows.dim() != 2 || rows.numel() == 0 || !rows.is_floating_point())
    fail("[{}] {}: expected floating [B, D], got {} {}", loss, field, c10::toString(rows.scalar_type()),
         rows.sizes().vec());
}

at::Tensor checked_unit_rows(const at::Tensor& rows, std::string_view loss, std::string_view field) {
  check_shape(rows, loss, field);
  auto wide = widened(rows);
  fail_for_length(lengths_of(wide), loss, field);
  return wide;
}

Pairs checked_pairs(const ContrastiveBatch& batch, std::string_view loss, std::int64_t smallest) {
  return checked_fields({batch.image, "image"}, {batch.text, "text"}, batch, loss, smallest);
}

Pairs checked_views(const ContrastiveBatch& batch, std::string_view loss) {
  return checked_fields({batch.image, "image"}, {batch.second_image, "second_image"}, batch, loss, 1);
}

void check_alike(const at::Tensor& x, const at::Tensor& like, std::string_view loss, std::string_view field,
                 std::string_view like_field) {
  const bool same_width = (x.scalar_type() == at::kDouble) == (like.scalar_type() == at::kDouble);
  if (same_width && x.device() == like.device()) return;
  fail("[{}] {}: expected {} on {} as {}, got {} on {}", loss, field, c10::toString(like.scalar_type()),
       like.device().str(), like_field, c10::toString(x.scalar_type()), x.device().str());
}

tiles::RowRange checked_own(const ContrastiveBatch& batch, std::string_view loss, std::int64_t size) {
  const auto own = batch.own.value_or(tiles::RowRange{0, size});
  check(own.count >= 1 && own.count <= size && own.begin >= 0 && own.begin <= size - own.count,
        "[{}] own: expected some of the batch's {} rows, got {} from row {} on", loss, size, own.count, own.begin);
  return own;
}

at::Tensor checked_scalar(const at::Tensor& scalar, std::string_view loss, std::string_view field,
                          const at::Tensor& like) {
  auto result = scalar_like(scalar, loss, field, like);
  const auto value = result.item<double>();
  check(std::isfinite(value), "[{}] {}: expected a finite number, got {}", loss, field, value);
  return result;
}

at::Tensor checked_scale(const at::Tensor& scale, std::string_view loss, std::string_view field,
                         const at::Tensor& like) {
  auto result = scalar_like(scale, loss, field, like);
  const auto value = result.item<double>();
  check(std::isfinite(value) && value > 0, "[{}] {}: expected a finite number above 0, got {}", loss, field, value);
  return result;
}

at::Tensor checked_scale(const ContrastiveBatch& batch, std::string_view loss, const at::Tensor& like) {
  return checked_scale(batch.logit_scale, loss, "logit_scale", like);
}

at::Tensor narrowed(const at::Tensor& rows, tiles::RowRange range) {
  // Of all rows: a part's gradient would be made as large again.
  if (range.begin == 0 && range.count == rows.size(0)) return rows;
  return rows.narrow(0, range.begin, range.count);
}

at::Tensor row_products(const at::Tensor& x, const at::Tensor& y) {
  return at::bmm(x.unsqueeze(1), y.unsqueeze(2)).view(-1);
}

at::Tensor matching_logits(const Pairs& pairs, const at::Tensor& scale) {
  return scale * (narrowed(pairs.image, pairs.own) * narrowed(pairs.text, pairs.own)).sum(1);
}

tiles::PairFilter except_own_pair(const Pairs& pairs) {
  const auto ids = at::arange(pairs.size(), pairs.image.options().dtype(at::kLong));
  return {.keep = tiles::PairFilter::Keep::different, .row_ids = ids, .column_ids = ids};
}

tiles::LogSumExp both_directions(const Pairs& pairs, const at::Tensor& scale, const tiles::PairFilter& filter) {
  if (pairs.own.count == pairs.size()) return tiles::log_sum_exp(pairs.image, pairs.text, scale, filter);
  auto own_filter = filter;
  if (filter.keep != tiles::PairFilter::Keep::all) own_filter.row_ids = narrowed(filter.row_ids, pairs.own);
  return {.rows = tiles::log_sum_exp(narrowed(pairs.image, pairs.own), pairs.text, scale, own_filter).rows,
          .columns = tiles::log_sum_exp(narrowed(pairs.text, pairs.own), pairs.image, scale, own_filter).rows};
}

}  // namespace vlalign
