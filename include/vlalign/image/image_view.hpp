#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign {

/// Pixels in somebody else's memory, as cameras and robotics libraries hold them: rows from the top, channels
/// interleaved, rows possibly padded. Borrowed: the memory must outlive the view. The order of the channels has to be
/// said, since nothing else tells BGR from RGB.
class VLALIGN_EXPORT ImageView {
 public:
  enum class Format { rgb, bgr, rgba, bgra, grey };

  /// 8-bit channels.
  ///   pixels: all that may be read; at least (height - 1) * row_bytes and a last row
  ///   row_bytes: from one row's start to the next, 0 where rows follow each other
  /// Throws Error when a size isn't positive, a row is shorter than its pixels, or the memory ends before the last row.
  ImageView(std::span<const std::uint8_t> pixels, int width, int height, Format format, std::size_t row_bytes = 0);

  /// Floating channels, 0 to 1; others are cut to that range, and a NaN is 0.
  ImageView(std::span<const float> pixels, int width, int height, Format format, std::size_t row_bytes = 0);

  /// A decoded picture.
  explicit ImageView(const Image& image);

  // These would be gone at once.
  ImageView(Image&&) = delete;
  ImageView(std::vector<std::uint8_t>&&, int, int, Format, std::size_t = 0) = delete;
  ImageView(std::vector<float>&&, int, int, Format, std::size_t = 0) = delete;

  int width() const { return width_; }
  int height() const { return height_; }
  Format format() const { return format_; }

  /// Writes row y as 8-bit RGB; alpha is ignored, as a camera's is.
  ///   out: 3 * width bytes
  void copy_row(int y, std::uint8_t* out) const;

  /// The rows themselves where they are 8-bit RGB already, otherwise null.
  const std::uint8_t* rgb_rows() const;
  std::size_t row_bytes() const { return row_bytes_; }

 private:
  ImageView(const void* pixels, std::size_t bytes, bool floating, int width, int height, Format format,
            std::size_t row_bytes);

  const std::byte* pixels_;
  bool floating_;
  int width_, height_;
  Format format_;
  std::size_t row_bytes_;
};

/// A copy as 8-bit RGB rows without padding.
VLALIGN_EXPORT Image to_image(const ImageView& view);

}  // namespace vlalign
