#include <cstring>
#include <utility>

#include "data/codecs.hpp"

namespace vlalign {
namespace {

/// Numbers of a TIFF block in its byte order; zero beyond its end.
struct Tiff {
  Bytes bytes;
  bool big_endian;

  std::uint32_t number(std::size_t offset, std::size_t size) const {
    if (offset > bytes.size() || size > bytes.size() - offset) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[offset + (big_endian ? i : size - 1 - i)];
    return value;
  }
};

}  // namespace

int exif_orientation(Bytes tiff) {
  if (tiff.size() < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) return 1;
  const Tiff block{tiff, tiff[0] == 'M'};
  if (block.number(2, 2) != 42) return 1;
  const std::size_t directory = block.number(4, 4);
  const std::uint32_t entries = block.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (block.number(entry, 2) != 0x0112) continue;
    const std::uint32_t type = block.number(entry + 2, 2);
    const std::uint32_t value = block.number(entry + 8, 2);
    return type == 3 && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image turn_upright(Image stored, int orientation) {
  if (orientation <= 1 || orientation > 8) return stored;
  const std::ptrdiff_t width = stored.width, height = stored.height;
  const bool mirrored_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirrored_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool transposed = orientation >= 5;

  // Steps through the stored pixels for one step right and one step down in the upright picture.
  const std::ptrdiff_t first = (mirrored_x ? width - 1 : 0) + (mirrored_y ? (height - 1) * width : 0);
  std::ptrdiff_t right = mirrored_x ? -1 : 1;
  std::ptrdiff_t down = mirrored_y ? -width : width;
  if (transposed) std::swap(right, down);

  Image upright{stored.width, stored.height, std::vector<std::uint8_t>(stored.rgb.size())};
  if (transposed) std::swap(upright.width, upright.height);
  std::uint8_t* out = upright.rgb.data();
  for (int y = 0; y < upright.height; ++y) {
    const std::uint8_t* in = stored.rgb.data() + 3 * (first + y * down);
    for (int x = 0; x < upright.width; ++x, in += 3 * right, out += 3) std::memcpy(out, in, 3);
  }
  return upright;
}

}  // namespace vlalign
