// Many small pictures in one. Internal.
#pragma once

#include <vector>

#include "vlalign/image/image.hpp"

namespace vlalign {

/// Pictures in reading order on white, each cut to a square of `side` pixels, `gap` pixels apart and from the edge.
/// One without pixels leaves its place white, and without any picture there is one such place.
Image picture_grid(const std::vector<Image>& pictures, int side, int columns, int gap = 0);

}  // namespace vlalign
