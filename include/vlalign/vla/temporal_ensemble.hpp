#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign::vla {

/// Temporal ensembling of overlapping action chunks (Zhao et al. 2023, ACT): the action of a step is the mean of all
/// that was predicted for it, weighted by exp(-m i), i = 0 for the oldest prediction. Allocates only when constructed.
///
///     ensemble.add(chunk);    // at each step, or whenever a new chunk is there
///     ensemble.next(action);  // at each step
class VLALIGN_EXPORT TemporalEnsemble {
 public:
  /// horizon: H, steps a chunk; dims: A, numbers an action; m: finite and >= 0, how little newer predictions count.
  /// Throws Error for others, and when H^2 A numbers, which are kept, are more than 2^28.
  TemporalEnsemble(std::int64_t horizon, std::int64_t dims, double m = 0.01);

  /// chunk: [H, A], row by row, for the step to come and the H - 1 behind it. A second chunk for the same step replaces
  /// the first. Throws Error on another size and for numbers that aren't finite, which would spoil the steps to come,
  /// and then adds nothing.
  void add(std::span<const float> chunk);

  /// Writes the step's action, [A], and moves on to the next step. Throws Error on another size, and when no chunk
  /// reaches to this step.
  void next(std::span<float> action);

  /// Forgets all chunks: a new episode.
  void reset();

 private:
  std::int64_t horizon_, dims_;
  std::int64_t step_ = 0;
  std::vector<double> weights_;         // exp(-m i)
  std::vector<float> chunks_;           // [H, H, A]: the chunk added at step s is in place s mod H
  std::vector<std::int64_t> added_at_;  // [H]: the step of the chunk in each place
  std::vector<double> sums_;            // [A]
};

}  // namespace vlalign::vla
