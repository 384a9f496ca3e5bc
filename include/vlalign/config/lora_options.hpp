#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vlalign {

/// Low-rank adaptation (Hu et al. 2021): a layer of weight W computes with W + (alpha / rank) B A, and only A [rank,
/// in] and B [out, rank] train. A starts as torch.nn.Linear's weight does, B as zeros: the model starts unchanged.
struct LoraOptions {
  std::int64_t rank = 8;                  ///< at most the smaller side of any chosen weight
  double alpha = 16;                      ///< > 0
  bool attention = true;                  ///< queries, keys, values (an A and a B each) and output projection
  bool mlp = true;                        ///< both layers
  std::vector<std::string> modules{"*"};  ///< glob patterns (*, ?) on names of attention and MLP modules: {"text.*"}
  std::vector<std::string> train{};       ///< glob patterns on other parameters that train too: {"logit_scale"}
};

}  // namespace vlalign
