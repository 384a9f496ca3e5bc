#include "image/color.hpp"

#include <algorithm>
#include <array>

namespace vlalign {
namespace {

int luma(const std::uint8_t* rgb) {
  return static_cast<int>((rgb[0] * 19595U + rgb[1] * 38470U + rgb[2] * 7471U + 0x8000U) >> 16);
}

/// from + factor * (to - from), cut to 0..255 and rounded down.
std::uint8_t blend(int from, int to, float factor) {
  const float mixed = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<std::uint8_t>(std::clamp(mixed, 0.0F, 255.0F));
}

void blend_with(Image& image, int level, double factor) {
  std::array<std::uint8_t, 256> table;
  for (int v = 0; v < 256; ++v) table[static_cast<std::size_t>(v)] = blend(level, v, static_cast<float>(factor));
  for (auto& v : image.rgb) v = table[v];
}

template <typename Change>
void for_each_pixel(Image& image, const Change& change) {
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) change(image.rgb.data() + i);
}

/// Hue in 255ths of a turn, saturation and value, each in a byte. Pillow rounds to float on the way, and so must we.
struct Hsv {
  std::uint8_t hue;
  std::uint8_t saturation;
  std::uint8_t value;
};

Hsv to_hsv(const std::uint8_t* rgb) {
  const std::uint8_t low = std::min({rgb[0], rgb[1], rgb[2]}), high = std::max({rgb[0], rgb[1], rgb[2]});
  if (low == high) return {0, 0, high};
  const auto range = static_cast<float>(high - low);
  const auto distance = [&](int c) { return static_cast<float>(high - rgb[c]) / range; };
  auto sixths = static_cast<float>(4.0 + distance(1) - distance(0));
  if (rgb[0] == high) {
    sixths = distance(2) - distance(1);
  } else if (rgb[1] == high) {
    sixths = static_cast<float>(2.0 + distance(0) - distance(2));
  }
  const double positive = sixths / 6.0 + 1.0;
  const auto turn = static_cast<float>(positive < 1 ? positive : positive - 1);
  const float saturation = range / static_cast<float>(high);
  return {static_cast<std::uint8_t>(turn * 255.0), static_cast<std::uint8_t>(saturation * 255.0), high};
}

void to_rgb(const Hsv& hsv, std::uint8_t* rgb) {
  const auto saturation = static_cast<float>(hsv.saturation / 255.0);
  const double sixths = hsv.hue * 6.0 / 255.0;
  const int sector = static_cast<int>(sixths);
  const auto part = static_cast<float>(sixths - sector);
  // std::lround costs as much as all the rest.
  const auto scaled = [&](double by) {
    return static_cast<std::uint8_t>(hsv.value * by + 0.5);  // NOLINT(bugprone-incorrect-roundings)
  };
  const std::uint8_t high = hsv.value, low = scaled(1.0 - saturation);
  const std::uint8_t falling = scaled(1.0 - saturation * part), rising = scaled(1.0 - saturation * (1.0 - part));
  const std::array<std::array<std::uint8_t, 3>, 6> sectors{{{high, rising, low},
                                                            {falling, high, low},
                                                            {low, high, rising},
                                                            {low, falling, high},
                                                            {rising, low, high},
                                                            {high, low, falling}}};
  std::copy_n(sectors[static_cast<std::size_t>(sector % 6)].begin(), 3, rgb);
}

}  // namespace

void adjust_brightness(Image& image, double factor) { blend_with(image, 0, factor); }

void adjust_contrast(Image& image, double factor) {
  std::int64_t sum = 0;
  for_each_pixel(image, [&](const std::uint8_t* rgb) { sum += luma(rgb); });
  const auto pixels = static_cast<std::int64_t>(image.rgb.size() / 3);
  blend_with(image, static_cast<int>((2 * sum + pixels) / (2 * pixels)), factor);
}

void adjust_saturation(Image& image, double factor) {
  const auto strength = static_cast<float>(factor);
  for_each_pixel(image, [&](std::uint8_t* rgb) {
    const int gray = luma(rgb);
    for (int c = 0; c < 3; ++c) rgb[c] = blend(gray, rgb[c], strength);
  });
}

void adjust_hue(Image& image, double turn) {
  const auto shift = static_cast<std::uint8_t>(static_cast<int>(turn * 255));
  for_each_pixel(image, [&](std::uint8_t* rgb) {
    Hsv hsv = to_hsv(rgb);
    hsv.hue = static_cast<std::uint8_t>(hsv.hue + shift);
    to_rgb(hsv, rgb);
  });
}

void to_grayscale(Image& image) {
  for_each_pixel(image, [](std::uint8_t* rgb) { std::fill_n(rgb, 3, static_cast<std::uint8_t>(luma(rgb))); });
}

}  // namespace vlalign
