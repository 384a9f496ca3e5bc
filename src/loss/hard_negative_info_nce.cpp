#include "vlalign/loss/hard_negative_info_nce.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/log.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/where.h>

#include <cmath>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"
#include "loss/checked_options.hpp"

namespace vlalign {
namespace {

/// log(G_i / e^{S_ii}) of each row.
///   reweighted: log(R_i / e^{S_ii})
///   floor: log(N e^{-logit_scale} / e^{S_ii})
at::Tensor debiased(const at::Tensor& reweighted, const at::Tensor& floor, double negatives, double tau_plus) {
  // R - tau_plus N = R (1 - e^u). Where that is not positive the floor is taken, and u is replaced before the logarithm
  // so that no NaN comes back from there.
  const auto u = std::log(tau_plus * negatives) - reweighted;
  const auto positive = u < 0;
  const auto without_positives = (-at::where(positive, u, -1.0).expm1()).log();
  const auto mass = reweighted + without_positives - std::log1p(-tau_plus);
  return at::where(positive.logical_and(mass > floor), mass, floor);
}

}  // namespace

HardNegativeInfoNCE::HardNegativeInfoNCE(const Options& options) : options_(options) {
  check_not_negative(options.beta, "HardNegativeInfoNCE", "beta");
  check(options.tau_plus >= 0 && options.tau_plus < 1, "[HardNegativeInfoNCE] tau_plus: expected 0 to below 1, got {}",
        options.tau_plus);
}

std::string HardNegativeInfoNCE::options() const {
  return fmt::format("beta={} tau_plus={}", options_.beta, options_.tau_plus);
}

at::Tensor HardNegativeInfoNCE::forward(const ContrastiveBatch& batch) const {
  const auto pairs = checked_pairs(batch, "HardNegativeInfoNCE", 2);
  const auto scale = checked_scale(batch, "HardNegativeInfoNCE", pairs.image);
  const auto others = except_own_pair(pairs);
  const auto weighted = both_directions(pairs, scale * (1.0 + options_.beta), others);
  const auto weights = both_directions(pairs, scale * options_.beta, others);
  const auto positives = matching_logits(pairs, scale);

  const auto negatives = static_cast<double>(pairs.size() - 1);
  const auto floor = std::log(negatives) - scale - positives;
  const auto loss_of = [&](const at::Tensor& log_weighted, const at::Tensor& log_weights) {
    const auto reweighted = std::log(negatives) + log_weighted - log_weights - positives;
    return at::softplus(debiased(reweighted, floor, negatives, options_.tau_plus)).mean();
  };
  return (loss_of(weighted.rows, weights.rows) + loss_of(weighted.columns, weights.columns)) / 2.0;
}

}  // namespace vlalign
