#include "train/event_file.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "core/io/files.hpp"
#include "support/temp_folder.hpp"

namespace vlalign::event_file_test {
namespace {

/// CRC-32C bit by bit, from its polynomial alone.
std::uint32_t crc32c_by_bits(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0x82f63b78U & (0U - (crc & 1)));
  }
  return ~crc;
}

std::uint32_t masked(std::string_view bytes) {
  const auto crc = crc32c_by_bits(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8U;
}

template <typename T>
T number_at(std::string_view bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// The payloads of a TFRecord file, their lengths and checksums verified.
std::vector<std::string> records(const std::string& bytes) {
  std::vector<std::string> payloads;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto length = number_at<std::uint64_t>(bytes, at);
    EXPECT_EQ(number_at<std::uint32_t>(bytes, at + 8), masked(bytes.substr(at, 8)));
    payloads.push_back(bytes.substr(at + 12, length));
    EXPECT_EQ(number_at<std::uint32_t>(bytes, at + 12 + length), masked(payloads.back()));
    at += 16 + length;
  }
  return payloads;
}

std::string only_file(const std::filesystem::path& folder) {
  return read_file(std::filesystem::directory_iterator(folder)->path());
}

TEST(EventFile, ChecksumsAgreeWithThePublishedVector) {
  EXPECT_EQ(crc32c_by_bits("123456789"), 0xe3069283U);  // RFC 3720, appendix B.4's polynomial; the usual check value
}

TEST(EventFile, HoldsScalarsInTensorBoardsWireFormat) {
  const test::TempFolder folder;
  EventFile(folder.path(), 0).scalars(300, {{"train/loss", 0.5}});
  const auto payloads = records(only_file(folder.path()));
  ASSERT_EQ(payloads.size(), 2U);
  // Field 3 of the first record is the version, with its length before it.
  EXPECT_NE(payloads[0].find("\x1a\x0d"
                             "brain.Event:2"),
            std::string::npos);
  // Field 1: a double, the time. Field 2: the varint 300 = 0xac 0x02. Field 5: Summary { 1: Value { 1: tag, 2: float
  // 0.5 } }.
  const std::string expected("\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0atrain/loss\x15\x00\x00\x00\x3f", 24);
  EXPECT_EQ(payloads[1].substr(9), expected);
}

TEST(EventFile, AResumedRunTellsWhereItBegins) {
  const test::TempFolder folder;
  { const EventFile file(folder.path(), 7); }
  const auto payloads = records(only_file(folder.path()));
  ASSERT_EQ(payloads.size(), 2U);
  EXPECT_EQ(payloads[1].substr(9), std::string("\x10\x07\x3a\x02\x08\x01", 6));  // step 7, SessionLog { status: START }
}

}  // namespace
}  // namespace vlalign::event_file_test
