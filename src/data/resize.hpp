// Resizing a part of a picture, with pixels that equal PIL's (Pillow 13, src/libImaging/Resample.c): a separable
// filter, stretched to cover the input when shrinking, each pass rounded to 8 bits. ATen's _upsample_bicubic2d_aa is up
// to 2/255 off PIL, needs the whole output to cut a part of it, and without AVX2 is many times slower and starts OpenMP
// threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "data/resample.hpp"
#include "vlalign/data/transform.hpp"

namespace vlalign {

struct Box {
  std::int64_t left = 0;
  std::int64_t top = 0;
  int width = 0;
  int height = 0;
};

RgbView view_of(const Image& image);

/// The pixels inside the box, which must lie inside the picture.
RgbView crop(const RgbView& image, const Box& box);

/// The pixels inside `part` of the picture resized to width x height. Only these are computed.
Image resize_part(const RgbView& image, std::int64_t width, std::int64_t height, const Box& part,
                  Interpolation interpolation, const ResampleKernels& kernels = resample_kernels().back());

}  // namespace vlalign
