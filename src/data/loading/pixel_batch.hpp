// Pictures of records one after the other, as they are evaluated. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "vlalign/image/image.hpp"

namespace vlalign {

/// A batch of pictures at the model's size; for those that could not be read, why.
struct PixelBatch {
  at::Tensor pixels;  ///< uint8 [B, 3, S, S], channels-last
  std::vector<std::int64_t> records;
  std::vector<std::string> bad;
};

/// make(record), a picture of size x size, for the records from `begin` to before `end`, on a few threads. An Error
/// tells of a bad record; the first exception of another kind stops them all and is thrown again.
PixelBatch load_pixels(std::int64_t begin, std::int64_t end, int threads, std::int64_t size,
                       const std::function<Image(std::int64_t)>& make);

}  // namespace vlalign
