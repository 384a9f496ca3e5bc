// One decoder a file format, and what they share. Errors carry the picture's name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "vlalign/image/image.hpp"

namespace vlalign {

using Bytes = std::span<const std::uint8_t>;

constexpr std::int64_t max_pixels = std::int64_t{1} << 28;

/// The shortest side that is still needed of an upright picture of this size; 0: it must not be reduced.
using NeededSide = std::function<int(int width, int height)>;

/// decode_image with a needed side that depends on the picture's size.
Image decode(std::span<const std::byte> bytes, std::string_view name, const NeededSide& needed_side, PixelsAs as);

/// Each throws Error unless `bytes` hold every pixel of a picture as it was written.
Image decode_jpeg(Bytes bytes, std::string_view name, const NeededSide& needed_side, PixelsAs as);
Image decode_png(Bytes bytes, std::string_view name, PixelsAs as);
Image decode_webp(Bytes bytes, std::string_view name, PixelsAs as);

/// Throws Error unless there are 1 to 2^28 pixels; call it before the decoder is asked for any.
void check_size(std::int64_t width, std::int64_t height, std::string_view name);

/// Black pixels, after check_size.
Image blank_image(std::int64_t width, std::int64_t height, std::string_view name);

/// Throws Error unless the picture has pixels, and as many as its size says.
///   where: the function that was called, for the message
void check_image(const Image& image, std::string_view where);

/// rgb = rgba * alpha + white * (1 - alpha), rounded.
void lay_on_white(const std::uint8_t* rgba, std::size_t pixels, std::uint8_t* rgb);

/// The orientation, 1 to 8, that a file's EXIF block gives, or its XMP packet where that has none; else 1. Both as
/// Pillow's getexif() reads them, and either may be empty.
int stored_orientation(Bytes exif, std::string_view xmp);

/// The picture as it is meant to be seen, given how it was stored (EXIF 2.32, tag 0x0112).
Image turn_upright(Image stored, int orientation);

}  // namespace vlalign
