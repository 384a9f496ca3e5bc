// When a run writes checkpoints, and what it does where one can't be written. Internal.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "train/run_folder.hpp"
#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

/// All ranks have one; rank 0's writes.
class RunCheckpoints {
 public:
  ///   folder: null on other ranks
  RunCheckpoints(const Ranks& ranks, const CheckpointOptions& options, RunFolder* folder, std::int64_t step);

  bool is_due(std::int64_t step) const { return options_.every > 0 && step % options_.every == 0; }
  /// Whether so much time has gone since the last that the next is due, by rank 0's clock.
  bool is_time() const;
  std::int64_t saved() const { return saved_; }  ///< the step of the newest; 0: there is none

  /// Saves with `write`, which throws Error on rank 0 where it can't. There, older checkpoints make room and it is
  /// called again; after a second fault the run goes on, or ends with an Error where it has to or is told to.
  ///   write: to be called on all ranks; must: the run ends behind it
  void save(std::int64_t step, bool must, const std::function<void()>& write);
  /// Throws Error on rank 0 where the last try to save failed, at this step.
  void check_saved(std::int64_t step) const;

 private:
  std::string attempt(const std::function<void()>& write) const;
  bool make_room(std::int64_t step, const std::string& fault);

  using Clock = std::chrono::steady_clock;
  const Ranks& ranks_;
  const CheckpointOptions& options_;
  RunFolder* folder_;
  std::int64_t saved_, failed_ = 0;
  std::string fault_;
  Clock::time_point last_ = Clock::now();
};

}  // namespace vlalign
