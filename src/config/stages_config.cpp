#include "config/stages_config.hpp"

#include <cmath>

#include "core/check.hpp"

namespace vlalign {

void check_stage_sizes(const std::vector<std::int64_t>& layers, const std::vector<std::int64_t>& widths,
                       const std::string& where) {
  constexpr std::int64_t most_blocks = 1024, largest_width = 1 << 16;
  for (const auto count : layers)
    check(count >= 1 && count <= most_blocks, "{} layers: expected 1 to {} blocks a stage, got {}", where, most_blocks,
          count);
  for (const auto width : widths)
    check(width >= 1 && width <= largest_width, "{} widths: expected 1 to {} channels, got {}", where, largest_width,
          width);
}

void check_residual_branches(const std::optional<double>& layer_scale, double drop_path, const std::string& where) {
  check(!layer_scale || std::isfinite(*layer_scale), "{} layer_scale: expected a finite number, got {}", where,
        layer_scale.value_or(0));
  check(drop_path >= 0 && drop_path < 1, "{} drop_path: expected 0 to below 1, got {}", where, drop_path);
}

}  // namespace vlalign
