#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// A decoded picture: 8-bit RGB rows without padding, [height, width, 3].
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;
};

/// Whose pixels a decoder gives.
enum class PixelsAs {
  vlalign,  ///< as the picture is meant to be seen: turned upright, transparency laid on white
  peer,     ///< as open_clip and transformers see it, PIL's convert("RGB"): as it is stored, its alpha dropped
};

/// Decodes a JPEG, PNG or WebP file held in memory to RGB; of an animation the first frame.
/// The orientation in EXIF or XMP is applied, alpha is laid on white, grey becomes RGB, 16-bit channels keep their high
/// byte, CMYK JPEGs are converted. For the peer orientation and alpha are ignored and 16-bit grey is cut at 255.
///   name: what error messages call the picture
///   shortest_side: when > 0, a JPEG may be decoded at a reduced DCT scale (1/2, 1/4, 1/8) as long as its
///                  shortest side stays at least this long
/// Throws Error on anything that isn't a whole picture, or is larger than 2^28 pixels. Damage that leaves every pixel
/// as it was is none.
VLALIGN_EXPORT Image decode_image(std::span<const std::byte> bytes, std::string_view name, int shortest_side = 0,
                                  PixelsAs as = PixelsAs::vlalign);

/// Reads and decodes a file; see decode_image. For a model: read_image(path, 0, model.config().preprocess.pixels_as).
VLALIGN_EXPORT Image read_image(const std::filesystem::path& path, int shortest_side = 0,
                                PixelsAs as = PixelsAs::vlalign);

/// A PNG file of the picture, for reports and tests.
VLALIGN_EXPORT std::vector<std::byte> encode_png(const Image& image);

/// Whether decode_image reads files of this extension (.jpg .jpeg .jpe .jfif .png .apng .webp, any case).
VLALIGN_EXPORT bool is_image_file(const std::filesystem::path& path);

}  // namespace vlalign
