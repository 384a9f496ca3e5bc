#include "train/event_file.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <span>

#include "core/io/files.hpp"
#include "support/captured_log.hpp"
#include "support/file_size_limit.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

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

/// A message's fields: the numbers as they are written, or the bytes.
struct Message {
  struct Field {
    int number;
    std::uint64_t bits;
    std::string bytes;
  };
  std::vector<Field> fields;

  explicit Message(const std::string& bytes) {
    std::size_t at = 0;
    const auto varint = [&] {
      std::uint64_t value = 0;
      for (int shift = 0;; shift += 7) {
        const auto byte = static_cast<unsigned char>(bytes.at(at++));
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
      }
    };
    while (at < bytes.size()) {
      const auto key = varint();
      Field field{.number = static_cast<int>(key >> 3), .bits = 0, .bytes = {}};
      const auto type = key & 7;
      if (type == 0) {
        field.bits = varint();
      } else {
        const auto size = type == 2 ? varint() : type == 1 ? 8 : 4;
        field.bytes = bytes.substr(at, size);
        at += size;
      }
      fields.push_back(field);
    }
  }

  std::vector<std::string> all(int number) const {
    std::vector<std::string> found;
    for (const auto& field : fields)
      if (field.number == number) found.push_back(field.bytes);
    return found;
  }
  std::string one(int number) const {
    const auto found = all(number);
    EXPECT_EQ(found.size(), 1U) << "field " << number;
    return found.empty() ? "" : found[0];
  }
  double real(int number) const { return number_at<double>(one(number), 0); }
  std::uint64_t whole(int number) const {
    for (const auto& field : fields)
      if (field.number == number) return field.bits;
    ADD_FAILURE() << "field " << number;
    return 0;
  }
};

std::vector<double> doubles(const std::string& bytes) {
  std::vector<double> values;
  for (std::size_t at = 0; at < bytes.size(); at += 8) values.push_back(number_at<double>(bytes, at));
  return values;
}

/// Field 1 of the Summary, which is field 5 of the last event.
std::vector<std::string> values_in(const test::TempFolder& folder) {
  return Message(Message(records(only_file(folder.path())).back()).one(5)).all(1);
}

TEST(EventFile, HoldsHistogramsAndLeavesEmptyOnesOut) {
  const test::TempFolder folder;
  const Histogram spread{
      .values = 3, .min = -1, .max = 2, .sum = 1.5, .sum_of_squares = 5.25, .limits = {0.5, 2}, .counts = {1, 2}};
  EventFile(folder.path(), 0).histograms(1, {{"none", Histogram{}}, {"some", spread}});
  const auto values = values_in(folder);
  ASSERT_EQ(values.size(), 1U);
  const Message value(values[0]);
  EXPECT_EQ(value.one(1), "some");
  const Message histogram(value.one(5));
  EXPECT_EQ(histogram.real(1), -1);
  EXPECT_EQ(histogram.real(2), 2);
  EXPECT_EQ(histogram.real(3), 3);
  EXPECT_EQ(histogram.real(4), 1.5);
  EXPECT_EQ(histogram.real(5), 5.25);
  EXPECT_EQ(doubles(histogram.one(6)), (std::vector<double>{0.5, 2}));
  EXPECT_EQ(doubles(histogram.one(7)), (std::vector<double>{1, 2}));
}

TEST(EventFile, HoldsAPictureAsPng) {
  const test::TempFolder folder;
  const Image picture{.width = 2, .height = 1, .rgb = {255, 0, 0, 0, 0, 255}};
  EventFile(folder.path(), 0).picture(1, "unseen/pictures", picture);
  const Message value(values_in(folder).at(0));
  EXPECT_EQ(value.one(1), "unseen/pictures");
  const Message image(value.one(4));
  EXPECT_EQ(image.whole(1), 1U);
  EXPECT_EQ(image.whole(2), 2U);
  EXPECT_EQ(image.whole(3), 3U);
  const auto png = image.one(4);
  const auto back = decode_image(std::as_bytes(std::span(png)), "the event's picture");
  EXPECT_EQ(back.width, 2);
  EXPECT_EQ(back.rgb, picture.rgb);
}

TEST(EventFile, HoldsATableForTheTextPage) {
  const test::TempFolder folder;
  EventFile(folder.path(), 0).table(1, "words", {{"a", "b", "c"}, {"d", "e", ""}});
  const Message value(values_in(folder).at(0));
  const Message tensor(value.one(8));
  EXPECT_EQ(tensor.whole(1), 7U);  // DT_STRING
  const auto sizes = Message(tensor.one(2)).all(2);
  ASSERT_EQ(sizes.size(), 2U);
  EXPECT_EQ(Message(sizes[0]).whole(1), 2U);
  EXPECT_EQ(Message(sizes[1]).whole(1), 3U);
  EXPECT_EQ(tensor.all(8), (std::vector<std::string>{"a", "b", "c", "d", "e", ""}));
  EXPECT_EQ(Message(Message(value.one(9)).one(1)).one(1), "text");
  EXPECT_THROW(EventFile(folder.path(), 0).table(1, "words", {{"a", "b"}, {"c"}}), Error);
}

TEST(EventFile, LeavesNoFileAStepOnAFullDisk) {
  const test::TempFolder folder;
  const test::CapturedLog log;
  {
    const test::FileSizeLimit full(10);
    EventFile events(folder.path(), 1);
    for (std::int64_t step = 1; step <= 50; ++step) events.scalars(step, {{"train/loss", 1.0}});
  }
  EXPECT_LE(entries_of(folder.path()).size(), 1U);
  EXPECT_EQ(log.warnings(), 1U);
}

}  // namespace
}  // namespace vlalign::event_file_test
