// Pictures in their own aspect ratio, for towers that take them so: config().vision's most_patches (Tschannen et al.
// 2025, "SigLIP 2", NaFlex).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "vlalign/core/export.hpp"
#include "vlalign/image/image.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

/// Rows and columns of a picture's patches.
struct PatchGrid {
  std::int64_t rows = 1, columns = 1;
  friend bool operator==(const PatchGrid&, const PatchGrid&) = default;
};

/// The largest grid of at most so many patches to which a picture is scaled, both sides by the same factor and rounded
/// up to whole patches: the rule of transformers' Siglip2ImageProcessor. Throws Error unless all are positive.
VLALIGN_EXPORT PatchGrid patch_grid(int width, int height, std::int64_t patch_size, std::int64_t most_patches);

/// The embeddings of pictures of any shapes: each is resized to its grid's pixels, and nothing is cut off or squashed
/// to a square. Returns unit rows, float32 [B, D]. Throws Error where there are no pictures, and where the model's
/// tower takes pictures of one size alone.
VLALIGN_EXPORT at::Tensor encode_pictures(const DualEncoder& model, std::span<const Image> pictures,
                                          Precision precision = Precision::fp32);

}  // namespace vlalign
