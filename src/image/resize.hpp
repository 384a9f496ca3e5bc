// Resizing a part of a picture, with pixels that equal PIL's (Pillow 13, src/libImaging/Resample.c): a separable
// filter, stretched to cover the input when shrinking, each pass rounded to 8 bits. ATen's _upsample_bicubic2d_aa is up
// to 2/255 off PIL, needs the whole output to cut a part of it, and without AVX2 is many times slower and starts OpenMP
// threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "image/resample.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign {

struct Box {
  std::int64_t left = 0;
  std::int64_t top = 0;
  int width = 0;
  int height = 0;
  bool operator==(const Box&) const = default;
};

RgbView view_of(const Image& image);

/// The pixels inside the box, which must lie inside the picture.
RgbView crop(const RgbView& image, const Box& box);

/// What the evaluation transform does with a picture: resize it to width x height, of which it takes a part.
struct ResizePlan {
  std::int64_t width, height;
  Box part;
};
/// Throws Error for sizes of `how` that can't be.
ResizePlan evaluation_plan(int width, int height, const Preprocess& how);

/// Resizes pictures and keeps what that takes, so that one of the same sizes as the one before allocates nothing.
class Resizer {
 public:
  explicit Resizer(Interpolation interpolation, const ResampleKernels& kernels = resample_kernels())
      : interpolation_(interpolation), kernels_(kernels) {}

  /// The pixels inside `part` of the picture resized to width x height. Only these are computed.
  ///   out: rows without padding, [part.height, part.width, 3]
  void operator()(const RgbView& image, std::int64_t width, std::int64_t height, const Box& part, std::uint8_t* out);

 private:
  struct Sizes {
    int from_width = 0, from_height = 0;
    std::int64_t width = 0, height = 0;
    Box part;
    bool operator==(const Sizes&) const = default;
  };
  void prepare(const Sizes& sizes);

  Interpolation interpolation_;
  ResampleKernels kernels_;
  Sizes sizes_;  // that the following are for
  Taps along_rows_, along_columns_;
  Box used_;       // what any output needs of the input
  Image between_;  // the two passes
};

/// The same once.
Image resize_part(const RgbView& image, std::int64_t width, std::int64_t height, const Box& part,
                  Interpolation interpolation, const ResampleKernels& kernels = resample_kernels());

}  // namespace vlalign
