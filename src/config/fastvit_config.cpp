#include "config/stages_config.hpp"
#include "config/validate.hpp"
#include "core/check.hpp"

namespace vlalign {

void validate(const FastVitConfig& config, std::int64_t image_size, const std::string& where) {
  const auto stages = static_cast<std::int64_t>(config.layers.size());
  check(config.layers.size() == config.widths.size() && stages >= 2 && stages <= 8,
        "{} layers and widths: expected as many stages each, 2 to 8, got {} and {}", where, stages,
        config.widths.size());
  check_stage_sizes(config.layers, config.widths, where);
  for (std::size_t i = 1; i < config.widths.size(); ++i)
    check(config.widths[i] % config.widths[i - 1] == 0, "{} widths: {} is no multiple of the {} of the stage before",
          where, config.widths[i], config.widths[i - 1]);
  check(config.attention_stages >= 0 && config.attention_stages <= stages,
        "{} attention_stages: expected 0 to {}, got {}", where, stages, config.attention_stages);
  for (auto i = stages - config.attention_stages; i < stages; ++i)
    check(config.widths[static_cast<std::size_t>(i)] % 32 == 0,
          "{} widths: heads of attention have 32 channels, {} is no multiple of it", where,
          config.widths[static_cast<std::size_t>(i)]);
  check(config.mlp_ratio >= 1 && config.mlp_ratio <= 64, "{} mlp_ratio: expected 1 to 64, got {}", where,
        config.mlp_ratio);
  check(image_size >= 64, "{} image_size: expected 64 or more for so many strides, got {}", where, image_size);
  check_residual_branches(config.layer_scale, config.drop_path, where);
}

}  // namespace vlalign
