// What the ranks of a run tell each other beside its batches and gradients. Internal; nothing happens on a rank alone.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "train/run_folder.hpp"
#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

/// Throws Error on all ranks, naming what differs, unless all of them are about the same run with the same version.
///   settings: as config.json has them
void check_same_on_ranks(const Ranks& ranks, const nlohmann::json& settings);

/// Where rank 0 stands.
void share_progression(const Ranks& ranks, Progression& progression);

/// Copies rank 0's numbers to the others.
void share_tensors(const Ranks& ranks, const std::vector<at::Tensor>& tensors);

/// Makes buffers, which the ranks' rows have moved otherwise on each, their mean over all rows.
///   rows: this rank's own
void average_buffers(const Ranks& ranks, const std::vector<at::Tensor>& buffers, std::int64_t rows);

/// Tells in the log which rank holds up the others.
class SlowRank {
 public:
  /// own_seconds: of a step, on each rank, without those in which it waited for others
  void note(const Ranks& ranks, const std::vector<double>& own_seconds);

 private:
  int rank_ = -1, in_a_row_ = 0;
};

/// A step's figures, of which a rank has measured its share.
struct SharedFigures {
  double loss = 0, logit_scale = 0, accuracy = 0, action_loss = 0, grad_norm = 0, largest_buffer = 0;
  std::vector<double> own_seconds{0};  ///< this rank's; then those of each
};
/// Makes them the whole batch's, the same bits on each rank.
///   known: samples_seen becomes the sum, wait_s the longest
void share_figures(const Ranks& ranks, SharedFigures& figures, StepResult& known);

/// Whether any rank says so.
bool any_of_ranks(const Ranks& ranks, bool yes);

}  // namespace vlalign
