#include <webp/decode.h>

#include <algorithm>
#include <string_view>

#include "core/check.hpp"
#include "data/codecs.hpp"

namespace vlalign {
namespace {

constexpr std::size_t header_bytes = 12;  // "RIFF", size, "WEBP"

std::size_t little_endian32(Bytes bytes, std::size_t offset) {
  return bytes[offset] | std::size_t{bytes[offset + 1]} << 8 | std::size_t{bytes[offset + 2]} << 16 |
         std::size_t{bytes[offset + 3]} << 24;
}

/// The data of the file's first chunk of this kind (four characters, padded to an even length); empty when there is
/// none.
Bytes find_chunk(Bytes file, std::string_view kind) {
  for (std::size_t at = header_bytes; at + 8 <= file.size();) {
    const std::size_t size = little_endian32(file, at + 4);
    const Bytes data = file.subspan(at + 8);
    if (std::equal(kind.begin(), kind.end(), file.begin() + static_cast<std::ptrdiff_t>(at))) {
      return data.first(std::min(size, data.size()));
    }
    at += 8 + size + size % 2;
  }
  return {};
}

int read_orientation(Bytes file) {
  constexpr std::string_view prefix("Exif\0\0", 6);  // not in the standard, but some programs write it
  Bytes exif = find_chunk(file, "EXIF");
  if (exif.size() > prefix.size() && std::equal(prefix.begin(), prefix.end(), exif.begin())) {
    exif = exif.subspan(prefix.size());
  }
  return exif_orientation(exif);
}

std::string_view describe(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses a feature that libwebp can't read";
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "the file ends too early";
    default:
      return "damaged data";
  }
}

void check_status(VP8StatusCode status, std::string_view name) {
  check(status == VP8_STATUS_OK, "[decode_image] {}: broken WebP file: {}", name, describe(status));
}

}  // namespace

Image decode_webp(Bytes bytes, std::string_view name) {
  const std::size_t size = little_endian32(bytes, 4) + 8;
  check(size <= bytes.size(), "[decode_image] {}: broken WebP file: {} bytes, its header says {}", name, bytes.size(),
        size);
  const Bytes file = bytes.first(size);

  WebPDecoderConfig config;
  WebPInitDecoderConfig(&config);
  check_status(WebPGetFeatures(file.data(), file.size(), &config.input), name);
  check(!config.input.has_animation, "[decode_image] {}: an animated WebP file, expected a still picture", name);
  Image image = blank_image(config.input.width, config.input.height, name);
  const bool transparent = config.input.has_alpha != 0;
  std::vector<std::uint8_t> rgba(transparent ? image.rgb.size() / 3 * 4 : 0);

  config.output.colorspace = transparent ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = transparent ? rgba.data() : image.rgb.data();
  config.output.u.RGBA.stride = image.width * (transparent ? 4 : 3);
  config.output.u.RGBA.size = transparent ? rgba.size() : image.rgb.size();
  check_status(WebPDecode(file.data(), file.size(), &config), name);

  if (transparent) lay_on_white(rgba.data(), rgba.size() / 4, image.rgb.data());
  return turn_upright(std::move(image), read_orientation(file));
}

}  // namespace vlalign
