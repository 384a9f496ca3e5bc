#include "vlalign/loss/alignment_uniformity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/scalar_tensor.h>

#include <cmath>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"
#include "loss/checked_options.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {
namespace {

/// log mean over the pairs of different rows of e^{-t (2 - 2 cos)}.
at::Tensor uniformity(const at::Tensor& x, const tiles::PairFilter& others, double t) {
  const auto size = static_cast<double>(x.size(0));
  const auto sums = tiles::log_sum_exp(x, x, at::scalar_tensor(2.0 * t, x.options()), others).rows;
  return sums.logsumexp(0) - 2.0 * t - std::log(size * (size - 1.0));
}

}  // namespace

AlignmentUniformity::AlignmentUniformity(const Options& options) : options_(options) {
  check_positive(options.weight, "AlignmentUniformity", "weight");
  check_positive(options.t, "AlignmentUniformity", "t");
}

std::string AlignmentUniformity::options() const { return fmt::format("weight={} t={}", options_.weight, options_.t); }

at::Tensor AlignmentUniformity::forward(const ContrastiveBatch& batch) const {
  const auto pairs = checked_pairs(batch, "AlignmentUniformity", 2);
  const auto others = except_own_pair(pairs);
  const auto alignment = (2.0 - 2.0 * (pairs.image * pairs.text).sum(1)).mean();
  const auto uniformities = uniformity(pairs.image, others, options_.t) + uniformity(pairs.text, others, options_.t);
  return alignment + options_.weight / 2.0 * uniformities;
}

}  // namespace vlalign
