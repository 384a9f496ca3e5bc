#pragma once

#include <span>

#include "vlalign/image/image.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign {

/// One batch of pictures of several shapes, [B, most_patches, 3 P^2] on a CPU, zeros behind each picture's own.
nn::Patches naflex_patches(std::span<const Image> pictures, std::int64_t patch_size, std::int64_t most_patches,
                           const Preprocess& how);

}  // namespace vlalign
