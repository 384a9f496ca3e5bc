#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/image/image.hpp"
#include "vlalign/image/image_view.hpp"

namespace vlalign {

enum class Interpolation { bicubic, bilinear };

/// How a picture becomes a model's input at evaluation. Part of the model: a model folder holds it.
/// Defaults are OpenAI CLIP's (github.com/openai/CLIP, clip.py).
struct Preprocess {
  enum class Resize { shortest, squash };  ///< the shortest side, or both, to resize_size; then a centre crop

  int image_size = 224;
  int resize_size = 0;  ///< before the crop; 0: image_size
  Resize resize = Resize::shortest;
  Interpolation interpolation = Interpolation::bicubic;
  bool crop_rounds_down = false;  ///< half a pixel of margin, as transformers does; torchvision rounds it to even
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> std{0.26862954, 0.26130258, 0.27577711};
  PixelsAs pixels_as = PixelsAs::vlalign;  ///< what decoders make of transparency and orientation
};

/// Random changes to a training picture. Each is off by default; a policy names a useful set of them.
struct Augmentation {
  // Random resized crop: area as a fraction of the picture, and aspect ratio. {1, 1} keeps the whole picture,
  // resized as at evaluation.
  std::array<double, 2> crop_scale{1.0, 1.0};
  std::array<double, 2> crop_ratio{3.0 / 4.0, 4.0 / 3.0};
  // Small affine: largest rotation in degrees, shift as a fraction of the side, range of the zoom. Outside is white.
  double rotate = 0.0;
  double shift = 0.0;
  std::array<double, 2> zoom{1.0, 1.0};
  double flip = 0.0;        ///< probability of a horizontal flip
  double brightness = 0.0;  ///< factor in [1 - b, 1 + b]; the same for contrast and saturation
  double contrast = 0.0;
  double saturation = 0.0;
  double hue = 0.0;        ///< shift in [-h, h] of a full turn, h <= 0.5
  double grayscale = 0.0;  ///< probability
};

/// "none"; "basic": open_clip's training default, RandomResizedCrop(scale 0.9 to 1); "mild", the quick start's: small
/// affine, brightness, contrast; "strong": SimCLR-like crop, flip, jitter and grayscale. Throws Error naming the
/// policies on an unknown name.
VLALIGN_EXPORT Augmentation augmentation_policy(std::string_view name);
VLALIGN_EXPORT std::vector<std::string> augmentation_policies();

/// The shortest side that a picture must have so that preprocess() doesn't enlarge it: the most that a decoder may
/// reduce it to.
VLALIGN_EXPORT int needed_side(const Preprocess& how);

/// Resizes as PIL does on 8-bit pictures (antialiased, same rounding within 1/255).
VLALIGN_EXPORT Image resize(const Image& image, int width, int height,
                            Interpolation interpolation = Interpolation::bicubic);

/// The evaluation transform: [image_size, image_size] pixels, still 8-bit; normalize_pixels does the rest on the
/// device.
VLALIGN_EXPORT Image preprocess(const ImageView& image, const Preprocess& how);
VLALIGN_EXPORT Image preprocess(const Image& image, const Preprocess& how);

/// The training transform: the augmentation's random changes, then image_size pixels.
/// The same generator state gives the same pixels.
VLALIGN_EXPORT Image augment(const Image& image, const Preprocess& how, const Augmentation& augmentation, Rng& rng);

/// Decodes a picture for augment(): a JPEG at the smallest DCT scale at which the smallest crop that may be drawn still
/// has image_size pixels a side. Any epoch can use it: the scale depends on the picture's size, not on the crop.
///   name: what error messages call the picture
/// Throws Error as decode_image does.
VLALIGN_EXPORT Image decode_for_augment(std::span<const std::byte> bytes, std::string_view name, const Preprocess& how,
                                        const Augmentation& augmentation);

/// (pixels / 255 - mean) / std.
///   pixels: uint8 [B, 3, H, W] (any memory format), or floating and already normalised, which is returned as it is
/// Returns float32 [B, 3, H, W] in the same memory format, on the same device.
VLALIGN_EXPORT at::Tensor normalize_pixels(const at::Tensor& pixels, const Preprocess& how);

}  // namespace vlalign
