#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "image/codecs.hpp"

namespace vlalign {
namespace {

constexpr std::uint64_t orientation_tag = 0x0112;

/// Numbers of a TIFF block in its byte order; zero beyond its end.
struct Tiff {
  Bytes bytes;
  bool big_endian;

  bool holds(std::uint64_t offset, std::uint64_t size) const {
    return offset <= bytes.size() && size <= bytes.size() - offset;
  }
  std::uint64_t number(std::uint64_t offset, std::size_t size) const {
    if (!holds(offset, size)) return 0;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[offset + (big_endian ? i : size - 1 - i)];
    return value;
  }
};

/// The types of a tag's values that are numbers (TIFF 6.0, and its supplement's LONG8).
enum class TiffType : std::uint64_t {
  unsigned_short = 3,
  unsigned_long = 4,
  rational = 5,
  signed_byte = 6,
  signed_short = 8,
  signed_long = 9,
  signed_rational = 10,
  float32 = 11,
  float64 = 12,
  directory = 13,
  unsigned_long8 = 16
};

/// Of a value, in bytes; 0 for an unknown type.
std::size_t tiff_type_size(std::uint64_t type) {
  constexpr std::array<std::size_t, 17> sizes{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};
  return type < sizes.size() ? sizes[type] : 0;
}

/// A tag's first value; nothing where it is no number.
std::optional<double> first_value(const Tiff& tiff, std::uint64_t type, std::uint64_t place) {
  const auto bits = tiff.number(place, std::min<std::size_t>(tiff_type_size(type), 8));
  const auto half = [&](int i) { return tiff.number(place + 4 * static_cast<std::uint64_t>(i), 4); };
  switch (static_cast<TiffType>(type)) {
    case TiffType::unsigned_short:
    case TiffType::unsigned_long:
    case TiffType::directory:
    case TiffType::unsigned_long8:
      return static_cast<double>(bits);
    case TiffType::signed_byte:
      return static_cast<std::int8_t>(bits);
    case TiffType::signed_short:
      return static_cast<std::int16_t>(bits);
    case TiffType::signed_long:
      return static_cast<std::int32_t>(bits);
    case TiffType::float32:
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    case TiffType::float64:
      return std::bit_cast<double>(bits);
    case TiffType::rational:
      return static_cast<double>(half(0)) / static_cast<double>(half(1));
    case TiffType::signed_rational:
      return static_cast<double>(static_cast<std::int32_t>(half(0))) / static_cast<std::int32_t>(half(1));
    default:
      return std::nullopt;
  }
}

int valid_orientation(double value) {
  return value >= 1 && value <= 8 && value == std::floor(value) ? static_cast<int>(value) : 1;
}

/// Some programs write one where none belongs, or two.
Bytes without_exif_prefix(Bytes exif) {
  constexpr std::string_view prefix("Exif\0\0", 6);
  for (int i = 0; i < 2; ++i) {
    if (exif.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), exif.begin()))
      exif = exif.subspan(prefix.size());
  }
  return exif;
}

std::optional<Tiff> open_tiff(Bytes exif) {
  const auto block = without_exif_prefix(exif);
  if (block.size() < 8 || block[0] != block[1] || (block[0] != 'I' && block[0] != 'M')) return std::nullopt;
  const bool has_mark = (block[2] == 42 && block[3] == 0) || (block[2] == 0 && block[3] == 42);  // in either order
  return has_mark ? std::optional<Tiff>({block, block[0] == 'M'}) : std::nullopt;
}

/// Nothing where the block doesn't have the tag; 1 where it has it with another value.
std::optional<int> exif_orientation(Bytes exif) {
  const auto tiff = open_tiff(exif);
  if (!tiff) return std::nullopt;
  const auto directory = tiff->number(4, 4), entries = tiff->number(directory, 2);
  std::uint64_t beside = 0;  // bytes of values that lie outside the directory
  for (std::uint64_t i = 0; i < entries; ++i) {
    const auto entry = directory + 2 + 12 * i;
    if (!tiff->holds(entry, 12)) break;
    const auto type = tiff->number(entry + 2, 2), count = tiff->number(entry + 4, 4),
               size = count * tiff_type_size(type);
    if (size == 0) continue;
    const auto place = size > 4 ? tiff->number(entry + 8, 4) : entry + 8;
    if (size > 4) {
      // Where Pillow skips an entry, and where it gives up on those that follow.
      beside += size;
      if (beside > tiff->bytes.size()) continue;
      if (!tiff->holds(place, size)) break;
    }
    if (tiff->number(entry, 2) != orientation_tag) continue;
    const auto value = first_value(*tiff, type, place);
    return value ? valid_orientation(*value) : 1;
  }
  return std::nullopt;
}

/// As an attribute or as an element.
std::optional<int> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view name = "tiff:Orientation";
  for (auto at = xmp.find(name); at != xmp.npos; at = xmp.find(name, at + 1)) {
    auto value = xmp.substr(at + name.size());
    if (value.starts_with("=\"")) {
      value.remove_prefix(2);
    } else if (value.starts_with('>')) {
      value.remove_prefix(1);
    } else {
      continue;
    }
    if (!value.empty() && value[0] >= '0' && value[0] <= '9') return valid_orientation(value[0] - '0');
  }
  return std::nullopt;
}

}  // namespace

int stored_orientation(Bytes exif, std::string_view xmp) {
  if (const auto orientation = exif_orientation(exif)) return *orientation;
  return xmp_orientation(xmp).value_or(1);
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
