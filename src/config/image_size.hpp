// A model's pictures in another size.
#pragma once

#include "core/check.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign {

/// The size before the crop changes in proportion. `where` is what an error calls the number.
inline Preprocess with_image_size(Preprocess how, int image_size, const char* where) {
  check(image_size > 0 && image_size <= 8192, "{}: expected 1 to 8192, got {}", where, image_size);
  how.resize_size = static_cast<int>(std::int64_t{how.resize_size} * image_size / how.image_size);
  how.image_size = image_size;
  return how;
}

}  // namespace vlalign
