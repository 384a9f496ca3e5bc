#include "vlalign/train/schedule.hpp"

#include <cmath>
#include <numbers>

namespace vlalign {

double warmup_cosine(std::int64_t step, std::int64_t warmup, std::int64_t steps) {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double gone = static_cast<double>(step - warmup) / static_cast<double>(steps - warmup);
  return 0.5 * (1.0 + std::cos(std::numbers::pi * gone));
}

}  // namespace vlalign
