#include "kernels/like_lengths.hpp"

#include <ATen/TensorOperators.h>

namespace vlalign {

Pieces pieces_of_like_length(const at::Tensor& lengths, std::int64_t count) {
  const auto by_length = lengths.argsort(/*stable=*/true);
  Pieces all{{}, by_length.argsort()};
  for (const auto& items : by_length.tensor_split(count))
    all.pieces.push_back({items, lengths.index_select(0, items).max().item<std::int64_t>()});
  return all;
}

}  // namespace vlalign
