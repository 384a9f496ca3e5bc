// Film for a web page.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "vlalign/image/image.hpp"

namespace tabletop {

/// Pictures of one size in a row, a thin line between them.
vlalign::Image side_by_side(const std::vector<vlalign::Image>& pictures);

/// Several films of one size beside each other, each standing still at its end, then all again: an animated WebP of 10
/// pictures a second. Throws Error when the encoder does.
std::vector<std::byte> moving(const std::vector<std::vector<vlalign::Image>>& films);

/// data: URIs.
std::string png_uri(const vlalign::Image& picture);
std::string webp_uri(const std::vector<std::byte>& webp);

}  // namespace tabletop
