#pragma once

#include <cstdint>
#include <optional>

namespace vlalign {

/// A part of a run in which the towers see less, and steps cost less: small pictures and short texts first, a short
/// stage at full size last (Li et al. 2023, RECLIP; CLIPA; FLIP).
struct Stage {
  double share = 1.0;                            ///< of the run's steps, above 0; those of all stages add up to 1
  std::optional<std::int64_t> image_size{};      ///< pixels a side; the model's own without it
  std::optional<std::int64_t> context_length{};  ///< tokens a caption; the model's own without it
  std::optional<double> patch_dropout{};         ///< share of a ViT's patches left out, 0 to below 1; the model's own
                                                 ///< without it
};

}  // namespace vlalign
