// Rows that go from rank to rank. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

/// Shows each rank the others' rows, one rank's after the other, without ever holding them all. The rows go around the
/// ring of ranks in both directions at once, half the way each; what every rank adds to them goes along, and home to
/// their owner when all have seen them. Of n numbers of b bytes on R ranks, a rank sends 2 n b (R - 1). Collective.
///   rows: [n_r, ...], of one type on all ranks
///   visit(rows, sum): those of another rank, in an order that is the same in each run; sum: like them, for this rank
///   to add to
/// Returns what the others have added to this rank's rows.
at::Tensor pass_around(const Ranks& ranks, const at::Tensor& rows,
                       const std::function<void(const at::Tensor& rows, at::Tensor& sum)>& visit);

}  // namespace vlalign
