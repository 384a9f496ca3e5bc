#include "config/validate.hpp"
#include "core/check.hpp"

namespace vlalign {

void validate(const ConvNextConfig& config, std::int64_t image_size, const std::string& where) {
  check(config.layers.size() == 4 && config.widths.size() == 4,
        "{} layers and widths: expected 4 stages each, got {} and {}", where, config.layers.size(),
        config.widths.size());
  check(image_size >= 32, "{} image_size: expected 32 or more for so many strides, got {}", where, image_size);
}

}  // namespace vlalign
