// Embeddings whose parts are known to fit together. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "vlalign/eval/embed.hpp"

namespace vlalign {

struct CheckedEmbeddings {
  at::Tensor image;                              ///< [N, D], as given
  at::Tensor text;                               ///< [M, D], as given
  at::Tensor owner;                              ///< int64 [M], image_of_text, on the same device
  std::vector<std::int64_t> captions_per_image;  ///< [N], at least 1 each
};

/// Throws Error "[function] field: ..." when shapes disagree, a picture has no caption, or an embedding is not finite.
CheckedEmbeddings checked_embeddings(const Embeddings& embeddings, std::string_view function);

}  // namespace vlalign
