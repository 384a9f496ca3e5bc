#include "vlalign/model/naflex.hpp"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/check.hpp"
#include "model/int8_mode.hpp"
#include "model/naflex_patches.hpp"
#include "nn/patches.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

/// Patches along a side that is scaled by so much.
std::int64_t patches_along(int side, double scale, std::int64_t patch_size) {
  return std::max<std::int64_t>(1,
                                static_cast<std::int64_t>(std::ceil(side * scale / static_cast<double>(patch_size))));
}

/// float32 [1, 3, rows * P, columns * P]
at::Tensor resized_pixels(const Image& picture, const PatchGrid& grid, std::int64_t patch_size, const Preprocess& how) {
  const auto height = grid.rows * patch_size, width = grid.columns * patch_size;
  auto image = resize(picture, static_cast<int>(width), static_cast<int>(height), how.interpolation);
  const auto bytes = at::from_blob(image.rgb.data(), {1, height, width, 3}, at::kByte);
  return normalize_pixels(bytes.permute({0, 3, 1, 2}).contiguous(), how);
}

}  // namespace

PatchGrid patch_grid(int width, int height, std::int64_t patch_size, std::int64_t most_patches) {
  check(width > 0 && height > 0 && patch_size > 0 && most_patches > 0,
        "[patch_grid] expected positive numbers, got {}x{} px in at most {} patches of {} px", width, height,
        most_patches, patch_size);
  // The peer's search, with its bounds and its end: the exact limit would give other grids.
  constexpr double precision = 1e-5;
  double low = precision / 10, high = 100;
  const auto grid_at = [&](double scale) {
    return PatchGrid{patches_along(height, scale, patch_size), patches_along(width, scale, patch_size)};
  };
  while (high - low >= precision) {
    const double scale = (low + high) / 2;
    const auto [rows, columns] = grid_at(scale);
    (rows * columns <= most_patches ? low : high) = scale;
  }
  return grid_at(low);
}

nn::Patches naflex_patches(std::span<const Image> pictures, std::int64_t patch_size, std::int64_t most_patches,
                           const Preprocess& how) {
  const auto count = std::ssize(pictures);
  nn::Patches batch{at::zeros({count, most_patches, 3 * patch_size * patch_size}), at::zeros({count, 2}, at::kLong)};
  for (std::int64_t b = 0; b < count; ++b) {
    const auto& picture = pictures[static_cast<std::size_t>(b)];
    const auto grid = patch_grid(picture.width, picture.height, patch_size, most_patches);
    const auto own = nn::cut_into_patches(resized_pixels(picture, grid, patch_size, how), patch_size);
    check(own.size(1) <= most_patches, "a picture of {}x{} px doesn't fit {} patches", picture.width, picture.height,
          most_patches);
    batch.pixels[b].narrow(0, 0, own.size(1)).copy_(own[0]);
    batch.grids[b].copy_(at::tensor({grid.rows, grid.columns}));
  }
  return batch;
}

at::Tensor encode_pictures(const DualEncoder& model, std::span<const Image> pictures, Precision precision) {
  const auto& config = model.config();
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  check(vit != nullptr && vit->most_patches > 0,
        "[encode_pictures] model {}: its image tower takes pictures of one size alone", config.name);
  check(!pictures.empty(), "[encode_pictures] no pictures");
  auto patches = naflex_patches(pictures, vit->patch_size, vit->most_patches, config.preprocess);
  patches.pixels = patches.pixels.to(model.device());
  const auto& module = *model.module();
  const auto mode = checked_mode(model, precision);
  const auto pooled = dynamic_cast<nn::Vit&>(*module.visual).forward(patches, nn::compute_dtype(precision));
  return l2_normalize(module.image_projection ? module.image_projection->forward(pooled) : pooled);
}

}  // namespace vlalign
