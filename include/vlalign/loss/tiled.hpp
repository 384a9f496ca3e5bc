#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign::tiles {

// Sums over all pairs of rows without the [N, M] matrix: tiles of logits, computed again in the backward pass. Exact,
// and differentiable once. x: [N, D], y: [M, D], float32 or float64, on one device; N and M may differ. Each throws
// Error on arguments that aren't as they are said to be here.

/// Which of the logits S_ij count: those of equal ids, or those of different ids.
struct PairFilter {
  enum class Keep { all, equal, different };
  Keep keep = Keep::all;
  at::Tensor row_ids{};     ///< int64 [N]
  at::Tensor column_ids{};  ///< int64 [M]
};

/// logsumexp of S = scale x y^T along either direction, -inf where the filter leaves nothing; and S_ii, which no filter
/// concerns.
struct LogSumExp {
  at::Tensor rows;        ///< [N], over j
  at::Tensor columns;     ///< [M], over i
  at::Tensor diagonal{};  ///< [min(N, M)]
};

/// Each tile serves both directions, and the largest logit is taken out of every exponential.
///   scale: [], floating
VLALIGN_EXPORT LogSumExp log_sum_exp(const at::Tensor& x, const at::Tensor& y, const at::Tensor& scale,
                                     const PairFilter& filter = {});

/// sum_ij softplus(scale x_i . y_j + bias): a scalar [].
///   scale, bias: [], floating
VLALIGN_EXPORT at::Tensor softplus_sum(const at::Tensor& x, const at::Tensor& y, const at::Tensor& scale,
                                       const at::Tensor& bias);

/// The sum of term(inputs, block) over blocks that together are `rows`, for a loss whose rows can be computed apart
/// from each other; only one block's graph lives at a time, since its gradient is taken at once.
///   inputs: what the term is computed from; gradients reach only these
///   term: a scalar, e.g. [](auto& in, RowRange r) { return cross_entropy(in[0].narrow(0, r.begin, r.count), in[1]); }
///   width: elements a row takes, e.g. M for a row of logits; blocks take about 32 MB in float32
VLALIGN_EXPORT at::Tensor sum_over_rows(
    const std::vector<at::Tensor>& inputs, RowRange rows, std::int64_t width,
    const std::function<at::Tensor(const std::vector<at::Tensor>&, RowRange)>& term);

}  // namespace vlalign::tiles
