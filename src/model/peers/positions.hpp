// Position embeddings for another image size or context length.
#pragma once

#include "vlalign/core/io/safetensors.hpp"

namespace vlalign {

/// positions: [L, W]; linear between them, as open_clip resizes them.
at::Tensor resize_line(const at::Tensor& positions, std::int64_t new_length);

/// `tensors` with those position embeddings resized that are of another size in `wanted`, under any peer's names.
NamedTensors with_resized_positions(NamedTensors tensors, const NamedTensors& wanted);

}  // namespace vlalign
