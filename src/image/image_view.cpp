#include "vlalign/image/image_view.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/check.hpp"
#include "image/codecs.hpp"

namespace vlalign {
namespace {

using Format = ImageView::Format;

/// How many channels a pixel has, and where its red, green and blue are.
struct Layout {
  std::size_t channels;
  std::array<std::size_t, 3> rgb;
};

Layout layout_of(Format format) {
  switch (format) {
    case Format::rgb:
      return {3, {0, 1, 2}};
    case Format::bgr:
      return {3, {2, 1, 0}};
    case Format::rgba:
      return {4, {0, 1, 2}};
    case Format::bgra:
      return {4, {2, 1, 0}};
    case Format::grey:
      return {1, {0, 0, 0}};
  }
  fail("[ImageView] format: not one of rgb, bgr, rgba, bgra, grey");
}

std::uint8_t to_byte(std::uint8_t value) { return value; }

std::uint8_t to_byte(float value) {
  return value > 0 ? static_cast<std::uint8_t>(std::min(value, 1.0F) * 255.0F + 0.5F) : std::uint8_t{0};
}

template <typename Channel>
void copy_pixels(const std::byte* row, int width, const Layout& layout, std::uint8_t* out) {
  for (int x = 0; x < width; ++x, row += layout.channels * sizeof(Channel)) {
    for (const auto place : layout.rgb) {
      Channel value;
      std::memcpy(&value, row + place * sizeof(Channel), sizeof(Channel));
      *out++ = to_byte(value);
    }
  }
}

}  // namespace

ImageView::ImageView(std::span<const std::uint8_t> pixels, int width, int height, Format format, std::size_t row_bytes)
    : ImageView(pixels.data(), pixels.size_bytes(), /*floating=*/false, width, height, format, row_bytes) {}

ImageView::ImageView(std::span<const float> pixels, int width, int height, Format format, std::size_t row_bytes)
    : ImageView(pixels.data(), pixels.size_bytes(), /*floating=*/true, width, height, format, row_bytes) {}

ImageView::ImageView(const Image& image)
    : ImageView(std::span<const std::uint8_t>(image.rgb), image.width, image.height, Format::rgb) {}

ImageView::ImageView(const void* pixels, std::size_t bytes, bool floating, int width, int height, Format format,
                     std::size_t row_bytes)
    : pixels_(static_cast<const std::byte*>(pixels)),
      floating_(floating),
      width_(width),
      height_(height),
      format_(format),
      row_bytes_(row_bytes) {
  check(width > 0 && height > 0, "[ImageView] size: expected at least 1x1, got {}x{}", width, height);
  check(width <= max_pixels / height, "[ImageView] size: expected at most 2^28 pixels, got {}x{}", width, height);
  const auto row = layout_of(format).channels * (floating ? sizeof(float) : 1) * static_cast<std::size_t>(width);
  if (row_bytes_ == 0) row_bytes_ = row;
  check(row_bytes_ >= row, "[ImageView] row_bytes: {} pixels take {} bytes, got {}", width, row, row_bytes);
  const auto rows_before = static_cast<std::size_t>(height) - 1;
  const bool whole = bytes >= row && (bytes - row) / row_bytes_ >= rows_before;
  check(whole, "[ImageView] pixels: {} rows {} bytes apart need {} bytes, got {}", height, row_bytes_,
        rows_before * row_bytes_ + row, bytes);
  check(pixels != nullptr, "[ImageView] pixels: expected {} rows, got a null pointer", height);
}

void ImageView::copy_row(int y, std::uint8_t* out) const {
  const auto* row = pixels_ + static_cast<std::size_t>(y) * row_bytes_;
  if (rgb_rows()) {
    std::memcpy(out, row, 3 * static_cast<std::size_t>(width_));
  } else if (floating_) {
    copy_pixels<float>(row, width_, layout_of(format_), out);
  } else {
    copy_pixels<std::uint8_t>(row, width_, layout_of(format_), out);
  }
}

const std::uint8_t* ImageView::rgb_rows() const {
  return format_ == Format::rgb && !floating_ ? reinterpret_cast<const std::uint8_t*>(pixels_) : nullptr;
}

Image to_image(const ImageView& view) {
  Image image = blank_image(view.width(), view.height(), "a view");
  const auto row = 3 * static_cast<std::size_t>(view.width());
  for (int y = 0; y < view.height(); ++y) view.copy_row(y, image.rgb.data() + static_cast<std::size_t>(y) * row);
  return image;
}

}  // namespace vlalign
