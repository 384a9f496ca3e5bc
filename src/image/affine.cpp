#include "image/affine.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vlalign {
namespace {

// A pixel is packed into 64 bits, 21 for each channel, so that one multiplication weighs all three: 8 bits of colour
// and 13 of weight.
constexpr int channel_bits = 21;
constexpr int weight_bits = 13;
constexpr std::int64_t one = 1 << weight_bits;

constexpr int position_bits = 32;  // of fraction in a coordinate
constexpr std::int64_t pixel = std::int64_t{1} << position_bits;

std::uint64_t pack(std::uint64_t r, std::uint64_t g, std::uint64_t b) {
  return r | g << channel_bits | b << 2 * channel_bits;
}

/// The picture with one white pixel to the left and above it, and two to the right and below.
struct Framed {
  std::int64_t width;
  std::vector<std::uint64_t> pixels;

  explicit Framed(const Image& image)
      : width(image.width + 3), pixels(static_cast<std::size_t>(width * (image.height + 3)), pack(255, 255, 255)) {
    const std::uint8_t* rgb = image.rgb.data();
    for (int y = 0; y < image.height; ++y) {
      std::uint64_t* row = pixels.data() + (y + 1) * width + 1;
      for (int x = 0; x < image.width; ++x, rgb += 3) row[x] = pack(rgb[0], rgb[1], rgb[2]);
    }
  }
};

/// Samples at (x, y), pixels in the frame's coordinates with position_bits of fraction.
void sample(const Framed& picture, std::int64_t x, std::int64_t y, std::uint8_t* rgb) {
  const std::uint64_t* at = picture.pixels.data() + (y >> position_bits) * picture.width + (x >> position_bits);
  const std::int64_t fx = x >> (position_bits - weight_bits) & (one - 1);
  const std::int64_t fy = y >> (position_bits - weight_bits) & (one - 1);
  const std::int64_t both = (fx * fy + one / 2) >> weight_bits;
  constexpr std::uint64_t half = one / 2;
  const std::uint64_t sum = at[0] * static_cast<std::uint64_t>(one - fx - fy + both) +
                            at[1] * static_cast<std::uint64_t>(fx - both) +
                            at[picture.width] * static_cast<std::uint64_t>(fy - both) +
                            at[picture.width + 1] * static_cast<std::uint64_t>(both) + pack(half, half, half);
  for (int c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>(sum >> (c * channel_bits + weight_bits));
}

}  // namespace

Image transform_affine(const Image& image, const Affine& affine) {
  const double radians = affine.degrees * std::numbers::pi / 180;
  const double right = std::cos(radians) / affine.zoom, down = std::sin(radians) / affine.zoom;
  const double center_x = 0.5 * image.width, center_y = 0.5 * image.height;
  const auto fixed = [](double v) { return static_cast<std::int64_t>(std::llround(v * static_cast<double>(pixel))); };
  const std::int64_t end_x = (image.width + 1) * pixel, end_y = (image.height + 1) * pixel;
  const std::int64_t step_x = fixed(right), step_y = fixed(-down);

  const Framed framed(image);
  Image out{image.width, image.height, std::vector<std::uint8_t>(image.rgb.size())};
  std::uint8_t* rgb = out.rgb.data();
  const double dx = 0.5 - center_x - affine.shift_x * image.width;
  for (int row = 0; row < image.height; ++row) {
    const double dy = row + 0.5 - center_y - affine.shift_y * image.height;
    // Half a pixel back from its centre to its corner, one forward for the frame.
    std::int64_t x = fixed(right * dx + down * dy + center_x + 0.5);
    std::int64_t y = fixed(right * dy - down * dx + center_y + 0.5);
    for (int column = 0; column < image.width; ++column, rgb += 3, x += step_x, y += step_y) {
      sample(framed, std::clamp<std::int64_t>(x, 0, end_x), std::clamp<std::int64_t>(y, 0, end_y), rgb);
    }
  }
  return out;
}

}  // namespace vlalign
