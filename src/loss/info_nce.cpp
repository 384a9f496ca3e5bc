#include "vlalign/loss/info_nce.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/log.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/where.h>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"
#include "loss/targets.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {
namespace {

/// sum_i of the cross-entropy with the wanted distribution: w_i LSE_i - S x_i wanted_i, w_i = 1, or 0 where nothing is
/// wanted.
at::Tensor cross_entropy(const at::Tensor& rows, const at::Tensor& columns, const at::Tensor& scale,
                         const at::Tensor& log_sum, const Wanted& wanted, double smoothing) {
  auto target = wanted.product;
  auto log_sums = log_sum;
  at::Tensor has_any;
  if (wanted.weight.defined()) {
    has_any = (wanted.weight > 0).to(rows.scalar_type());
    target = target / at::where(wanted.weight > 0, wanted.weight, 1.0);
    log_sums = has_any * log_sums;
  }
  auto sum = target.sum();
  if (smoothing > 0) {
    const auto smoothed = has_any.defined() ? at::matmul(has_any, rows) : rows.sum(0);
    sum = (1 - smoothing) * sum + smoothing * at::dot(smoothed, columns.mean(0));
  }
  return log_sums.sum() - scale * sum;
}

/// sum_i of -log(1/|P| sum_p softmax_p), both ways.
at::Tensor log_of_mean(const ContrastiveBatch& batch, const Pairs& pairs, const at::Tensor& scale,
                       const tiles::LogSumExp& all) {
  const auto groups = batch.groups.to(pairs.image.device());
  const auto of_positives =
      both_directions(pairs, scale, {.keep = tiles::PairFilter::Keep::equal, .row_ids = groups, .column_ids = groups});
  const auto log_counts = wanted(batch, pairs, "InfoNCE").texts.weight.log();
  return (all.rows + all.columns - of_positives.rows - of_positives.columns + 2 * log_counts).sum();
}

}  // namespace

InfoNCE::InfoNCE(const Options& options) : options_(options) {
  check(options.label_smoothing >= 0 && options.label_smoothing < 1,
        "[InfoNCE] label_smoothing: expected 0 to below 1, got {}", options.label_smoothing);
  check(options.label_smoothing == 0 || options.positives == Positives::mean_of_logs,
        "[InfoNCE] label_smoothing: goes with Positives::mean_of_logs only");
}

std::string InfoNCE::name() const {
  if (options_.positives == Positives::log_of_mean) return "infonce_in";
  return options_.label_smoothing > 0 ? "infonce_smoothed" : "infonce";
}

std::string InfoNCE::options() const {
  return options_.label_smoothing > 0 ? fmt::format("label_smoothing={}", options_.label_smoothing) : "";
}

BatchParts InfoNCE::uses() const {
  return {.groups = true, .soft_targets = options_.positives == Positives::mean_of_logs};
}

at::Tensor InfoNCE::forward(const ContrastiveBatch& batch) const {
  const auto pairs = checked_pairs(batch, "InfoNCE");
  const auto scale = checked_scale(batch, "InfoNCE", pairs.image);
  check_targets(batch, "InfoNCE");
  const auto own = pairs.own;
  const auto all = both_directions(pairs, scale);
  const auto rows = 2.0 * static_cast<double>(own.count);
  if (options_.positives == Positives::log_of_mean) {
    check(!batch.soft_targets.defined(), "[InfoNCE] soft_targets: go with Positives::mean_of_logs only");
    if (batch.groups.defined()) return log_of_mean(batch, pairs, scale, all) / rows;
  }
  const bool own_pairs_only = !batch.groups.defined() && !batch.soft_targets.defined() && options_.label_smoothing == 0;
  if (own_pairs_only && own.count == pairs.size()) return (all.rows + all.columns - 2 * all.diagonal).sum() / rows;
  const auto [texts, images] = wanted(batch, pairs, "InfoNCE");
  const auto of_images =
      cross_entropy(narrowed(pairs.image, own), pairs.text, scale, all.rows, texts, options_.label_smoothing);
  const auto of_texts =
      cross_entropy(narrowed(pairs.text, own), pairs.image, scale, all.columns, images, options_.label_smoothing);
  return (of_images + of_texts) / rows;
}

}  // namespace vlalign
