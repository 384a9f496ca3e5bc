#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

/// WiSE-FT (Wortsman et al. 2022): a model whose every tensor is (1 - alpha) a + alpha b, with a's config and tokenizer
/// on a's device. With a pretrained and b fine-tuned from it, alpha around 0.5 often keeps what a does well elsewhere.
/// Counts (of batch norms' batches) come from the nearer model; adapters are merged; 0 and 1 give a and b, bit for bit.
/// Throws Error when alpha is outside [0, 1], when the models' tensors differ or they would compute other things from
/// the same ones (activations, heads, preprocessing), and for towers of one's own, which it can't build.
VLALIGN_EXPORT DualEncoder interpolate(const DualEncoder& a, const DualEncoder& b, double alpha);

}  // namespace vlalign
