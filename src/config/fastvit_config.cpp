#include "config/validate.hpp"
#include "core/check.hpp"

namespace vlalign {

void validate(const FastVitConfig& config, std::int64_t image_size, const std::string& where) {
  check(config.layers.size() == config.widths.size() && config.layers.size() >= 2,
        "{} layers and widths: expected as many stages each, two or more, got {} and {}", where, config.layers.size(),
        config.widths.size());
  check(image_size >= 64, "{} image_size: expected 64 or more for so many strides, got {}", where, image_size);
}

}  // namespace vlalign
