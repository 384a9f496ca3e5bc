// Rotation, shift and zoom of a picture about its centre.
#pragma once

#include "vlalign/image/image.hpp"

namespace vlalign {

struct Affine {
  double degrees = 0.0;  ///< clockwise
  double shift_x = 0.0;  ///< to the right, as a fraction of the width
  double shift_y = 0.0;  ///< down, as a fraction of the height
  double zoom = 1.0;     ///< > 1 enlarges
};

/// The picture rotated and zoomed about its centre, then shifted, sampled bilinearly on the same pixel grid. The plane
/// outside the picture is white. Up to that border it is torchvision.transforms.functional.affine(shear=0, fill=255).
Image transform_affine(const Image& image, const Affine& affine);

}  // namespace vlalign
