// preprocess() and normalize_pixels() for a camera's frames. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "image/resize.hpp"
#include "vlalign/image/image_view.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign {

/// Keeps its memory from frame to frame: one of the same size and format as the one before allocates nothing. One a
/// camera, not to be shared between threads.
class FramePreprocessor {
 public:
  explicit FramePreprocessor(const Preprocess& how);

  /// The same numbers as normalize_pixels(preprocess(frame)): float32 [1, 3, S, S], channels-last, overwritten by the
  /// next call.
  const at::Tensor& operator()(const ImageView& frame);

  /// Whether it is prepared for frames of this size.
  bool fits(const ImageView& frame) const { return frame.width() == width_ && frame.height() == height_; }

 private:
  RgbView rgb_of(const ImageView& frame);

  Preprocess how_;
  Resizer resizer_;
  int width_ = 0, height_ = 0;
  ResizePlan plan_{};
  std::vector<std::uint8_t> rgb_;                // the frame, where its own rows aren't 8-bit RGB
  std::vector<std::uint8_t> picture_;            // [S, S, 3]
  std::array<std::array<float, 3>, 256> value_;  // of each channel's bytes, normalised
  at::Tensor pixels_;
};

}  // namespace vlalign
