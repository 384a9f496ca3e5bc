#pragma once

#include <cstdint>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// The factor on the learning rate at a step counted from 0: linear warm-up (s + 1) / w for s < w, then a half cosine
/// to 0 at `steps`. As open_clip's cosine_lr (scheduler.py).
VLALIGN_EXPORT double warmup_cosine(std::int64_t step, std::int64_t warmup, std::int64_t steps);

}  // namespace vlalign
