#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// How unevenly candidates are retrieved: hubs are near to many queries, antihubs to none (Radovanovic et al. 2010).
struct Hubness {
  double skewness = 0.0;     ///< of N_k over the candidates, E[(N_k - mean)^3] / sd^3; 0 when N_k is the same for all
  double antihubs = 0.0;     ///< share of candidates with N_k = 0
  std::int64_t largest = 0;  ///< N_k of the biggest hub
};

/// N_k of each candidate: the number of queries that have it among their k nearest by dot product (k-occurrences,
/// Radovanovic et al. 2010). Of candidates whose products are equal in float32 the earlier row is nearer.
/// Runs in tiles of block x block products: never an [N, M] matrix.
///   queries: floating [N, D]; candidates: floating [M, D], on the same device, other rows than the queries (a row
///   would be its own nearest)
/// Returns [M]; their sum is N min(k, M). Throws Error on wrong shapes and values that are not finite.
VLALIGN_EXPORT std::vector<std::int64_t> k_occurrences(const at::Tensor& queries, const at::Tensor& candidates,
                                                       std::int64_t k = 10, std::int64_t block = 2048);

/// `hubness(k_occurrences(image, text))` says whether some captions are near to all pictures.
/// Throws Error when there are none.
VLALIGN_EXPORT Hubness hubness(std::span<const std::int64_t> occurrences);

}  // namespace vlalign
