#include "config/stages_config.hpp"
#include "config/validate.hpp"
#include "core/check.hpp"

namespace vlalign {

void validate_front(const VitConfig& config, std::int64_t image_size, const std::string& where) {
  const bool vitamin = config.front == VitConfig::Front::vitamin;
  check(vitamin || (config.front_widths.empty() && config.front_layers.empty()),
        "{} front_widths and front_layers are ViTamin's; leave them off with another front", where);
  if (config.front == VitConfig::Front::patches) return;
  check(config.patch_size == 16 && config.stem.empty(),
        "{} patch_size and stem: expected 16 and none behind such a front, got {} and {} convolutions", where,
        config.patch_size, config.stem.size());
  check(image_size % 16 == 0, "{} image_size: expected a multiple of 16, got {}", where, image_size);
  if (!vitamin) {
    check(config.width % 4 == 0, "{} width: expected a multiple of 4, got {}", where, config.width);
    return;
  }
  check(config.front_layers.size() == 2 && config.front_widths.size() == 3,
        "{} front_layers and front_widths: expected 2 stages and the widths of the stem and of both, got {} and {}",
        where, config.front_layers.size(), config.front_widths.size());
  check_stage_sizes(config.front_layers, config.front_widths, where + " front");
}

}  // namespace vlalign
