// Changes of colour in place, each equal to torchvision's function of the same name on a PIL picture
// (torchvision.transforms.functional; Pillow, ImageEnhance and Image.convert).
#pragma once

#include "vlalign/image/image.hpp"

namespace vlalign {

/// Towards black (factor < 1) or away from it.
void adjust_brightness(Image& image, double factor);

/// Towards the picture's mean luma or away from it.
void adjust_contrast(Image& image, double factor);

/// Towards each pixel's luma or away from it.
void adjust_saturation(Image& image, double factor);

/// turn: of the colour circle, in [-0.5, 0.5]
void adjust_hue(Image& image, double turn);

/// Each pixel becomes its luma (ITU-R BT.601).
void to_grayscale(Image& image);

}  // namespace vlalign
