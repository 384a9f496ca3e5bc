#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// The loss of a batch that is too large for the towers' memory, and its exact gradient: embeddings of all pieces
/// without a graph, the loss's gradient with respect to them, then each piece again with a graph, through which its
/// share of that gradient is sent (Gao et al. 2021, GradCache). Gradients are accumulated in the leaves' grad(), those
/// of the logit scale and bias once.
///   encode: gives the embeddings of a piece, a batch without scale, bias and targets; called twice for each, in order.
///     A piece without image and text is passed over, and one may have [0, ...] rows. Token features with a mask may
///     differ in length.
///   whole: what belongs to the whole batch: scale, bias, targets, progress. Its embeddings are filled in for the loss
///     and undefined afterwards. The loss is computed when encode() has been called once for each piece, so that it may
///     still fill in what depends on all pieces.
/// Returns the loss, a scalar [] without a graph. Throws Error unless the loss gives a floating scalar with a gradient.
VLALIGN_EXPORT at::Tensor backward_in_pieces(const ContrastiveLoss& loss, std::int64_t pieces,
                                             const std::function<ContrastiveBatch(std::int64_t)>& encode,
                                             ContrastiveBatch& whole);

}  // namespace vlalign
