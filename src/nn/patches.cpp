#include "nn/patches.hpp"

namespace vlalign::nn {

at::Tensor cut_into_patches(const at::Tensor& pixels, std::int64_t patch_size) {
  const auto rows = pixels.size(2) / patch_size, columns = pixels.size(3) / patch_size;
  const auto whole = pixels.narrow(2, 0, rows * patch_size).narrow(3, 0, columns * patch_size);
  return whole.unflatten(3, {columns, patch_size})
      .unflatten(2, {rows, patch_size})  // [B, 3, rows, P, columns, P]
      .permute({0, 2, 4, 3, 5, 1})       // [B, rows, columns, P, P, 3]
      .reshape({pixels.size(0), rows * columns, -1});
}

}  // namespace vlalign::nn
