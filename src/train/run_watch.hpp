// What a run's figures say may be wrong with it. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/recent_numbers.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign {

/// Looks at every step's figures and says in a line what may be wrong, and what to look at. A line is said once as long
/// as what it says lasts, and at most every 500 steps. It knows nothing of the steps before a resume.
class RunWatch {
 public:
  ///   batch_size: of all ranks together
  explicit RunWatch(std::int64_t batch_size) : batch_size_(static_cast<double>(batch_size)) {}

  /// Lines to log, mostly none. The results come in the order of their steps.
  std::vector<std::string> note(const StepResult& result);

 private:
  /// Lets a line through once while what it says lasts.
  class Once {
   public:
    ///   is: so from now on; is_over: what was so before, which isn't just the opposite
    bool tell(std::int64_t step, bool is, bool is_over);

   private:
    bool told_ = false;
    std::optional<std::int64_t> told_at_{};
  };

  /// Steps whose waiting is judged together.
  struct Block {
    std::int64_t steps = 0;
    double seconds = 0, waited = 0;
  };

  void watch_skips(const StepResult& result);
  void watch_wait(const StepResult& result);
  void watch_jump(const StepResult& result);
  void watch_start(const StepResult& result);
  void watch_accuracy(const StepResult& result);
  void watch_scale(const StepResult& result);

  double batch_size_;
  std::vector<std::string> lines_{};  // of this step
  double learning_rate_ = 0;          // of the step before
  RecentNumbers skips_{500}, newest_losses_{5}, losses_{100}, accuracies_{300}, scales_{100};
  RecentNumbers first_losses_{200}, first_accuracies_{200};  // behind the warm-up
  std::int64_t steps_noted_ = 0, samples_seen_ = 0;
  Block block_{};
  Once many_skipped_, long_waits_, jumped_, stuck_, all_right_, scale_is_high_, scale_is_low_;
};

}  // namespace vlalign
