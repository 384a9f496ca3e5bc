#include "train/event_file.hpp"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "core/check.hpp"
#include "core/io/files.hpp"

namespace vlalign {
namespace {

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78).
std::uint32_t crc32c(std::string_view bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      auto value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0x82f63b78U : 0U);
      entries[i] = value;
    }
    return entries;
  }();
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

/// TFRecord stores checksums rotated and offset.
std::uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8U; }

template <typename T>
std::string little_endian(T value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// Protocol buffers' wire format: a key (field number and wire type), then the value.
enum WireType { varint_type = 0, fixed64_type = 1, bytes_type = 2, fixed32_type = 5 };

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string key(int field, WireType type) { return varint(static_cast<std::uint64_t>(field) << 3 | type); }

std::string field(int number, std::string_view bytes) {
  return key(number, bytes_type) + varint(bytes.size()) + std::string(bytes);
}
std::string field(int number, double value) { return key(number, fixed64_type) + little_endian(value); }
std::string field(int number, float value) { return key(number, fixed32_type) + little_endian(value); }
std::string field(int number, std::int64_t value) {
  return key(number, varint_type) + varint(static_cast<std::uint64_t>(value));
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Field numbers of Event and what it holds.
constexpr int event_wall_time = 1, event_step = 2, event_file_version = 3, event_summary = 5, event_session_log = 7;
constexpr int summary_value = 1, value_tag = 1, value_simple = 2, session_status = 1;
constexpr std::int64_t session_start = 1;

std::filesystem::path free_name(const std::filesystem::path& folder) {
  const auto stem = fmt::format("events.out.tfevents.{:.0f}.vlalign", wall_time());
  auto path = folder / stem;
  for (int i = 1; is_there(path); ++i) path = folder / fmt::format("{}.{}", stem, i);
  return path;
}

}  // namespace

EventFile::EventFile(const std::filesystem::path& folder, std::int64_t first_step)
    : path_(free_name(folder)), stream_(path_, std::ios::binary) {
  record(field(event_wall_time, wall_time()) + field(event_file_version, std::string_view("brain.Event:2")));
  if (first_step > 0) {
    record(field(event_wall_time, wall_time()) + field(event_step, first_step) +
           field(event_session_log, field(session_status, session_start)));
  }
}

void EventFile::scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  std::string summary;
  for (const auto& [tag, value] : values) {
    summary +=
        field(summary_value, field(value_tag, std::string_view(tag)) + field(value_simple, static_cast<float>(value)));
  }
  record(field(event_wall_time, wall_time()) + field(event_step, step) + field(event_summary, summary));
}

void EventFile::record(const std::string& event) {
  const auto length = little_endian(static_cast<std::uint64_t>(event.size()));
  stream_ << length << little_endian(masked_crc(length)) << event << little_endian(masked_crc(event));
  stream_.flush();
  check(stream_.good(), "{}: cannot write", path_.string());
}

}  // namespace vlalign
