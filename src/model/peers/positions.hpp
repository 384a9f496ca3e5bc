// Position embeddings for another image size or context length.
#pragma once

#include "model/peers/peer_names.hpp"

namespace vlalign {

/// positions: [L, W]; linear between them, as open_clip resizes them.
at::Tensor resize_line(const at::Tensor& positions, std::int64_t new_length);

/// Whose position embeddings there are: both towers' are told apart by the peers' names.
enum class PositionsOf { both_towers, image, text };

/// `tensors` with those position embeddings resized that are of another size in `wanted`, under any peer's names: a
/// picture's over the grid, a text's along the line. Throws Error, with `where` in front, naming the tensor and the key
/// of the config, where `resizing` forbids it.
NamedTensors with_resized_positions(NamedTensors tensors, const NamedTensors& wanted, PositionsOf of,
                                    const Resizing& resizing = {}, const std::string& where = {});

}  // namespace vlalign
