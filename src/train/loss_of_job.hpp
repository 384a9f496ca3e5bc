// The loss of a batch that several ranks share. Internal.
#pragma once

#include "vlalign/loss/contrastive_loss.hpp"
#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

/// A rank's part of the whole batch's figures, of which the means over the ranks are the whole batch's.
struct LossOfJob {
  at::Tensor value;     ///< []
  at::Tensor accuracy;  ///< float64 []
  std::int64_t pairs = 0;
};

/// How the ranks see each other's rows.
enum class RowExchange {
  gather,  ///< each has all rows of the batch, for any loss
  ring,    ///< texts go from rank to rank, for a loss that has over_other_texts() and a batch without targets
};

/// The ring where the loss allows it and a gathered batch would be large.
///   batch_size: of all ranks; rows: a rank's own
RowExchange choose_exchange(const ContrastiveLoss& loss, const ContrastiveBatch& rows, std::int64_t batch_size);

/// Collective. Throws Error where nobody has a row.
///   rows: a rank's own, of which any number but not all may be missing: then they are [0, ...]
LossOfJob loss_of_job(const Ranks& ranks, const ContrastiveLoss& loss, const ContrastiveBatch& rows,
                      RowExchange exchange);

}  // namespace vlalign
