#pragma once

#include <cstdint>

namespace vlalign::vla {

/// A chunk of actions, what a head predicts at once (Zhao et al. 2023, ACT).
struct ActionShape {
  std::int64_t horizon = 1;  ///< H, steps
  std::int64_t dims = 7;     ///< A, numbers a step
};

}  // namespace vlalign::vla
