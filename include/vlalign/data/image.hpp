#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace vlalign {

/// A decoded picture: 8-bit RGB rows without padding, [height, width, 3].
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;
};

/// Decodes a JPEG, PNG or WebP file held in memory to upright RGB.
/// EXIF orientation is applied, alpha is laid on white, grey becomes RGB, 16-bit channels keep their high byte,
/// CMYK JPEGs are converted.
///   name: what error messages call the picture
///   shortest_side: when > 0, a JPEG may be decoded at a reduced DCT scale (1/2, 1/4, 1/8) as long as its
///                  shortest side stays at least this long
/// Throws Error on anything that isn't a whole picture, or is larger than 2^28 pixels.
Image decode_image(std::span<const std::byte> bytes, std::string_view name, int shortest_side = 0);

/// Reads and decodes a file; see decode_image.
Image read_image(const std::filesystem::path& path, int shortest_side = 0);

/// A PNG file of the picture, for reports and tests.
std::vector<std::byte> encode_png(const Image& image);

/// Whether decode_image reads files of this extension (.jpg .jpeg .png .webp, any case).
bool is_image_file(const std::filesystem::path& path);

}  // namespace vlalign
