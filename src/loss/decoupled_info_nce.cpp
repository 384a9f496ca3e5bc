#include "vlalign/loss/decoupled_info_nce.hpp"

#include <ATen/TensorOperators.h>

#include "loss/checked_batch.hpp"

namespace vlalign {

at::Tensor DecoupledInfoNCE::forward(const ContrastiveBatch& batch) const {
  const auto pairs = checked_pairs(batch, "DecoupledInfoNCE", 2);
  const auto scale = checked_scale(batch, "DecoupledInfoNCE", pairs.image);
  const auto negatives = both_directions(pairs, scale, except_own_pair(pairs));
  return (negatives.rows + negatives.columns).mean() / 2.0 - matching_logits(pairs, scale).mean();
}

}  // namespace vlalign
