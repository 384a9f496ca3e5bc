// Sequences of like length put together, so that little is computed on padding. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace vlalign {

/// Some of a batch's items.
struct Piece {
  at::Tensor items;      ///< int64 [P], where they stand in the batch
  std::int64_t longest;  ///< of their lengths
};

struct Pieces {
  std::vector<Piece> pieces;  ///< each item in one of them, the shorter ones first
  at::Tensor order;           ///< int64 [B], where each item stands among the pieces' items
};

/// lengths: int64 [B]; count: of pieces, about equally large.
Pieces pieces_of_like_length(const at::Tensor& lengths, std::int64_t count);

}  // namespace vlalign
