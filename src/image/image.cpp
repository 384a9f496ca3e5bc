#include "vlalign/image/image.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "core/io/files.hpp"
#include "image/codecs.hpp"

namespace vlalign {
namespace {

bool starts_with(Bytes bytes, std::size_t offset, std::string_view magic) {
  return bytes.size() >= offset + magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

}  // namespace

Image decode(std::span<const std::byte> bytes, std::string_view name, const NeededSide& needed_side, PixelsAs as) {
  const Bytes file(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  check(!file.empty(), "[decode_image] {}: empty, expected a JPEG, PNG or WebP file", name);
  return without_foreign_errors(name, [&] {
    if (starts_with(file, 0, "\xff\xd8\xff")) return decode_jpeg(file, name, needed_side, as);
    if (starts_with(file, 0, "\x89PNG\r\n\x1a\n")) return decode_png(file, name, as);
    if (starts_with(file, 0, "RIFF") && starts_with(file, 8, "WEBP")) return decode_webp(file, name, as);
    fail("[decode_image] {}: its first bytes are those of no JPEG, PNG or WebP file", name);
  });
}

Image decode_image(std::span<const std::byte> bytes, std::string_view name, int shortest_side, PixelsAs as) {
  return decode(
      bytes, name, [&](int, int) { return shortest_side; }, as);
}

Image read_image(const std::filesystem::path& path, int shortest_side, PixelsAs as) {
  const std::string file = read_file(path);
  return decode_image(std::as_bytes(std::span(file)), path.string(), shortest_side, as);
}

bool is_image_file(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<std::string_view, 7> known{".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp"};
  return std::find(known.begin(), known.end(), extension) != known.end();
}

void check_size(std::int64_t width, std::int64_t height, std::string_view name) {
  check(width > 0 && height > 0, "[decode_image] {}: {}x{} pixels, expected at least one", name, width, height);
  check(width <= max_pixels / height, "[decode_image] {}: {}x{} pixels, expected at most 2^28", name, width, height);
}

Image blank_image(std::int64_t width, std::int64_t height, std::string_view name) {
  check_size(width, height, name);
  return without_foreign_errors(name, [&] {
    return Image{static_cast<int>(width), static_cast<int>(height), std::vector<std::uint8_t>(3 * width * height)};
  });
}

void check_image(const Image& image, std::string_view where) {
  check(image.width > 0 && image.height > 0, "[{}] image: {}x{} pixels, expected at least one", where, image.width,
        image.height);
  const auto expected = 3 * static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
  check(image.rgb.size() == expected, "[{}] image: {}x{} pixels need {} bytes, got {}", where, image.width,
        image.height, expected, image.rgb.size());
}

void lay_on_white(const std::uint8_t* rgba, std::size_t pixels, std::uint8_t* rgb) {
  // Three channels of 16 bits side by side, so that each operation serves all of them.
  constexpr std::uint64_t ones = 0x0000'0001'0001'0001, low_bytes = 255 * ones;
  for (std::size_t i = 0; i < pixels; ++i, rgba += 4, rgb += 3) {
    const std::uint64_t color = rgba[0] | std::uint64_t{rgba[1]} << 16 | std::uint64_t{rgba[2]} << 32;
    const std::uint64_t alpha = rgba[3];
    const std::uint64_t sum = color * alpha + ones * (255 * (255 - alpha) + 128);
    const std::uint64_t mixed = sum + (sum >> 8 & low_bytes);  // its high bytes are sum / 255, rounded
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>(mixed >> (16 * c + 8));
  }
}

}  // namespace vlalign
