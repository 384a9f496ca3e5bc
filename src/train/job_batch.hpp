// One batch on all ranks. Internal.
#pragma once

#include "vlalign/data/loading/loader.hpp"
#include "vlalign/loss/contrastive_loss.hpp"
#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

/// The embeddings of all ranks' rows, in the order of the ranks and with their gradient, and in `own` this rank's,
/// unless it has none. What belongs to the whole batch, its targets too, is taken as it is. Of a rank alone, the batch
/// itself.
///   rows: a rank's own, of which any number but not all may be missing: then they are [0, ...]
/// Throws Error where nobody has a row.
ContrastiveBatch gather_batch(const Ranks& ranks, const ContrastiveBatch& rows);

/// A batch's captions and records on all ranks, in their order, with the pixels of this rank's only.
PairBatch gather_captions(const Ranks& ranks, const PairBatch& batch, std::int64_t pad_id);

/// By how much a mean over the rank's own rows counts in the mean over the ranks, so that this is the mean over all
/// rows.
double share_of_own_rows(const Ranks& ranks, const ContrastiveBatch& batch);

}  // namespace vlalign
