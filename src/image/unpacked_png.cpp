#include "image/unpacked_png.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>

namespace vlalign {
namespace {

constexpr std::size_t signature_bytes = 8, length_bytes = 4, name_bytes = 4, crc_bytes = 4;
constexpr std::size_t header_bytes = 13;  // of IHDR

std::uint32_t big_endian(Bytes bytes) {
  std::uint32_t value = 0;
  for (const auto byte : bytes.first(4)) value = value << 8 | byte;
  return value;
}

struct Chunk {
  std::string_view name;
  Bytes data;
  std::size_t end = 0;  ///< in the file
};

/// The chunk that begins there; none where the file ends within it.
std::optional<Chunk> chunk_at(Bytes file, std::size_t begin) {
  constexpr std::size_t around = length_bytes + name_bytes + crc_bytes;
  if (begin > file.size() || file.size() - begin < around) return {};
  const std::size_t length = big_endian(file.subspan(begin));
  if (file.size() - begin - around < length) return {};
  const auto* name = reinterpret_cast<const char*>(file.data()) + begin + length_bytes;
  return Chunk{{name, name_bytes}, file.subspan(begin + length_bytes + name_bytes, length), begin + around + length};
}

/// How many bytes the pixels take with the filter byte of each row; 0 where they are interlaced or can't be.
std::size_t unpacked_size(Bytes header) {
  constexpr std::array<std::size_t, 7> channels_of_type{1, 0, 3, 1, 2, 0, 4};
  const std::size_t width = big_endian(header), height = big_endian(header.subspan(4));
  const auto depth = header[8], type = header[9];
  const bool interlaced = header[12] != 0;
  if (interlaced || type >= channels_of_type.size() || depth > 16 || width == 0 || height == 0) return 0;
  if (width > static_cast<std::size_t>(max_pixels) / height) return 0;
  return height * (1 + (width * depth * channels_of_type[type] + 7) / 8);
}

/// The stretch of IDAT chunks that follow each other, and what they hold.
struct Pixels {
  std::size_t begin = 0, end = 0;  ///< in the file
  std::vector<std::uint8_t> packed;
};

std::optional<Pixels> find_pixels(Bytes file, std::size_t from) {
  Pixels pixels;
  for (auto at = from;;) {
    const auto chunk = chunk_at(file, at);
    const bool is_pixels = chunk && chunk->name == "IDAT";
    if (!is_pixels && !pixels.packed.empty()) return pixels;
    if (!chunk || chunk->name == "IEND") return {};
    if (is_pixels) {
      if (pixels.packed.empty()) pixels.begin = at;
      pixels.packed.insert(pixels.packed.end(), chunk->data.begin(), chunk->data.end());
      pixels.end = chunk->end;
    }
    at = chunk->end;
  }
}

bool unpack(const std::vector<std::uint8_t>& packed, std::vector<std::uint8_t>& out) {
  struct Free {
    void operator()(libdeflate_decompressor* unpacker) const { libdeflate_free_decompressor(unpacker); }
  };
  static thread_local const std::unique_ptr<libdeflate_decompressor, Free> unpacker(libdeflate_alloc_decompressor());
  std::size_t size = 0;
  return unpacker &&
         libdeflate_zlib_decompress(unpacker.get(), packed.data(), packed.size(), out.data(), out.size(), &size) ==
             LIBDEFLATE_SUCCESS &&
         size == out.size();
}

/// Appends an IDAT chunk of zlib's blocks that are stored as they are (RFC 1950 and 1951), with zeros for sums.
void append_stored(std::vector<std::uint8_t>& file, const std::vector<std::uint8_t>& raw) {
  constexpr std::size_t largest_block = 65535, block_header = 5, stream_header = 2, sum = 4;
  const auto blocks = (raw.size() + largest_block - 1) / largest_block;
  const auto put = [&](std::initializer_list<std::size_t> bytes) {
    for (const auto byte : bytes) file.push_back(static_cast<std::uint8_t>(byte & 0xff));
  };
  const auto length = stream_header + blocks * block_header + raw.size() + sum;
  put({length >> 24, length >> 16, length >> 8, length, 'I', 'D', 'A', 'T', 0x78, 0x01});
  for (std::size_t begin = 0; begin < raw.size(); begin += largest_block) {
    const auto size = std::min(largest_block, raw.size() - begin);
    const std::size_t is_last = begin + size == raw.size() ? 1 : 0;
    put({is_last, size, size >> 8, ~size, ~size >> 8});
    file.insert(file.end(), raw.begin() + static_cast<std::ptrdiff_t>(begin),
                raw.begin() + static_cast<std::ptrdiff_t>(begin + size));
  }
  file.resize(file.size() + sum + crc_bytes);
}

}  // namespace

std::optional<std::vector<std::uint8_t>> unpacked_png(Bytes file) {
  constexpr std::size_t largest_ratio = 1032;  // deflate's, so a small file gets no large buffer
  const auto header = chunk_at(file, signature_bytes);
  if (!header || header->name != "IHDR" || header->data.size() != header_bytes) return {};
  const auto size = unpacked_size(header->data);
  const auto pixels = size == 0 ? std::nullopt : find_pixels(file, header->end);
  if (!pixels || pixels->packed.size() < size / largest_ratio) return {};
  std::vector<std::uint8_t> raw(size);
  if (!unpack(pixels->packed, raw)) return {};

  const auto before = file.first(pixels->begin), behind = file.subspan(pixels->end);
  std::vector<std::uint8_t> stored;
  stored.reserve(before.size() + size + size / 4096 + 64 + behind.size());
  stored.assign(before.begin(), before.end());
  append_stored(stored, raw);
  stored.insert(stored.end(), behind.begin(), behind.end());
  return stored;
}

}  // namespace vlalign
