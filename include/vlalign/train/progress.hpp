#pragma once

#include <chrono>
#include <cstdio>

#include "vlalign/core/export.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign {

/// One line about the run: step, rate, time left, loss, and accuracy and logit scale or, a policy's, action loss. On a
/// terminal it is rewritten in place, elsewhere a plain line is printed now and then. A validation has a line of its
/// own with its first figures and the seconds that it took.
///
///     Progress progress;
///     trainer.on_step(std::ref(progress));
///     trainer.on_validation(std::ref(progress));
class VLALIGN_EXPORT Progress {
 public:
  explicit Progress(std::FILE* stream = stderr);
  void operator()(const StepResult& result);
  void operator()(const ValidationResult& result);

 private:
  using Clock = std::chrono::steady_clock;

  std::FILE* stream_;
  bool terminal_ = false;
  std::int64_t first_step_ = 0;
  Clock::time_point start_, last_;
};

}  // namespace vlalign
