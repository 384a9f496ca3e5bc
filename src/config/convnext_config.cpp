#include "config/stages_config.hpp"
#include "config/validate.hpp"
#include "core/check.hpp"

namespace vlalign {

void validate(const ConvNextConfig& config, std::int64_t image_size, const std::string& where) {
  check(config.layers.size() == 4 && config.widths.size() == 4,
        "{} layers and widths: expected 4 stages each, got {} and {}", where, config.layers.size(),
        config.widths.size());
  check_stage_sizes(config.layers, config.widths, where);
  check(image_size >= 32, "{} image_size: expected 32 or more for so many strides, got {}", where, image_size);
  check(config.norm_eps > 0 && config.norm_eps <= 1, "{} norm_eps: expected above 0 and up to 1, got {}", where,
        config.norm_eps);
  check_residual_branches(config.layer_scale, config.drop_path, where);
}

}  // namespace vlalign
