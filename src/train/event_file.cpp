#include "train/event_file.hpp"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"

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
constexpr int session_status = 1;
constexpr std::int64_t session_start = 1;

// Of Summary and what it holds.
constexpr int summary_value = 1, value_tag = 1, value_simple = 2, value_image = 4, value_histogram = 5,
              value_tensor = 8, value_metadata = 9;
constexpr int histogram_min = 1, histogram_max = 2, histogram_num = 3, histogram_sum = 4, histogram_squares = 5,
              histogram_limits = 6, histogram_counts = 7;
constexpr int image_height = 1, image_width = 2, image_colorspace = 3, image_encoded = 4;
constexpr std::int64_t colorspace_rgb = 3;
constexpr int tensor_dtype = 1, tensor_shape = 2, tensor_string = 8, shape_dim = 2, dim_size = 1;
constexpr std::int64_t dtype_string = 7;
constexpr int metadata_plugin = 1, plugin_name = 1;

/// One value of a summary: its tag, and the fields behind it.
std::string tagged(const std::string& tag, const std::string& fields) {
  return field(summary_value, field(value_tag, std::string_view(tag)) + fields);
}

std::string packed(const std::vector<double>& values) {
  std::string bytes;
  for (const double value : values) bytes += little_endian(value);
  return bytes;
}

std::string dimension(std::size_t size) { return field(shape_dim, field(dim_size, static_cast<std::int64_t>(size))); }

std::filesystem::path free_name(const std::filesystem::path& folder) {
  const auto stem = fmt::format("events.out.tfevents.{:.0f}.vlalign", wall_time());
  auto path = folder / stem;
  for (int i = 1; is_there(path); ++i) path = folder / fmt::format("{}.{}", stem, i);
  return path;
}

}  // namespace

EventFile::EventFile(std::filesystem::path folder, std::int64_t first_step) : folder_(std::move(folder)) {
  start(first_step);
}

void EventFile::start(std::int64_t first_step) {
  is_broken_ = false;
  if (has_begun_ || path_.empty()) path_ = free_name(folder_);
  has_begun_ = false;
  stream_ = std::ofstream(path_, std::ios::binary);
  record(field(event_wall_time, wall_time()) + field(event_file_version, std::string_view("brain.Event:2")));
  if (first_step > 0) {
    record(field(event_wall_time, wall_time()) + field(event_step, first_step) +
           field(event_session_log, field(session_status, session_start)));
  }
}

void EventFile::scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  std::string all;
  for (const auto& [tag, value] : values) all += tagged(tag, field(value_simple, static_cast<float>(value)));
  summary(step, all);
}

void EventFile::histograms(std::int64_t step, const std::vector<std::pair<std::string, Histogram>>& values) {
  std::string all;
  for (const auto& [tag, h] : values) {
    if (h.values == 0) continue;
    all +=
        tagged(tag, field(value_histogram,
                          field(histogram_min, h.min) + field(histogram_max, h.max) + field(histogram_num, h.values) +
                              field(histogram_sum, h.sum) + field(histogram_squares, h.sum_of_squares) +
                              field(histogram_limits, packed(h.limits)) + field(histogram_counts, packed(h.counts))));
  }
  summary(step, all);
}

void EventFile::picture(std::int64_t step, const std::string& tag, const Image& picture) {
  const auto png = encode_png(picture);
  const std::string_view bytes(reinterpret_cast<const char*>(png.data()), png.size());
  summary(step,
          tagged(tag, field(value_image, field(image_height, std::int64_t{picture.height}) +
                                             field(image_width, std::int64_t{picture.width}) +
                                             field(image_colorspace, colorspace_rgb) + field(image_encoded, bytes))));
}

void EventFile::table(std::int64_t step, const std::string& tag, const std::vector<std::vector<std::string>>& rows) {
  std::string cells;
  for (const auto& row : rows) {
    check(row.size() == rows.front().size(), "[EventFile] table: expected {} cells in each row, got {}",
          rows.front().size(), row.size());
    for (const auto& cell : row) cells += field(tensor_string, std::string_view(cell));
  }
  const auto shape = rows.empty() ? dimension(0) : dimension(rows.size()) + dimension(rows.front().size());
  summary(step,
          tagged(tag, field(value_tensor, field(tensor_dtype, dtype_string) + field(tensor_shape, shape) + cells) +
                          field(value_metadata, field(metadata_plugin, field(plugin_name, std::string_view("text"))))));
}

void EventFile::summary(std::int64_t step, const std::string& values) {
  if (is_broken_ && Clock::now() - broken_at_ < std::chrono::minutes(1)) return;
  if (is_broken_) start(step);
  record(field(event_wall_time, wall_time()) + field(event_step, step) + field(event_summary, values));
}

void EventFile::record(const std::string& event) {
  const auto length = little_endian(static_cast<std::uint64_t>(event.size()));
  stream_ << length << little_endian(masked_crc(length)) << event << little_endian(masked_crc(event));
  stream_.flush();
  has_begun_ = has_begun_ || stream_.good();
  if (stream_.good()) return;
  is_broken_ = true;
  broken_at_ = Clock::now();
  if (!std::exchange(is_told_, true))
    log_warning("{}: cannot write TensorBoard's file; it will miss some steps", folder_.string());
}

std::string markdown_of(std::string_view text) {
  std::string out;
  for (const char character : text) {
    if (std::string_view("\\`*_{}[]()#+-.!|>").find(character) != std::string_view::npos) out += '\\';
    if (character == '<') {
      out += "&lt;";
    } else if (character == '&') {
      out += "&amp;";
    } else {
      out += character == '\n' || character == '\r' || character == '\t' ? ' ' : character;
    }
  }
  return out;
}

}  // namespace vlalign
