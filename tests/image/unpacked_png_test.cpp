// That the pixels are right is tested where pictures are compared with Pillow's: image_test and odd_image_test.
#include "image/unpacked_png.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include "image/picture_fixture.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign::unpacked_png_test {
namespace {

namespace fs = std::filesystem;

using File = std::vector<std::uint8_t>;

Image slopes() {
  Image image{.width = 300, .height = 200, .rgb = {}};
  for (int i = 0; i < 3 * image.width * image.height; ++i) image.rgb.push_back(static_cast<std::uint8_t>(i / 7));
  return image;
}

File png_of(const Image& image) {
  const auto bytes = encode_png(image);
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {begin, begin + bytes.size()};
}

void append(File& file, std::size_t number) {
  for (const auto shift : {24, 16, 8, 0}) file.push_back(static_cast<std::uint8_t>(number >> shift));
}

void append_chunk(File& file, const std::string& name, const File& data) {
  append(file, data.size());
  const auto begin = file.size();
  file.insert(file.end(), name.begin(), name.end());
  file.insert(file.end(), data.begin(), data.end());
  append(file, crc32(0, file.data() + begin, static_cast<uInt>(file.size() - begin)));
}

/// Of one channel; `pixels` is what the rows hold with their filter bytes.
File grey_png(std::size_t width, std::size_t height, const File& pixels) {
  File file{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, header;
  append(header, width), append(header, height);
  header.insert(header.end(), {8, 0, 0, 0, 0});
  append_chunk(file, "IHDR", header);
  auto size = compressBound(pixels.size());
  File packed(size);
  EXPECT_EQ(compress(packed.data(), &size, pixels.data(), pixels.size()), Z_OK);
  packed.resize(size);
  append_chunk(file, "IDAT", packed);
  append_chunk(file, "IEND", {});
  return file;
}

/// The bytes of all IDAT chunks in the file, through zlib's own inflate, which sees to no sum.
File inflated(const File& file, std::size_t size) {
  std::size_t at = 8;
  File packed;
  while (at + 8 <= file.size()) {
    const std::size_t length =
        std::size_t{file[at]} << 24 | std::size_t{file[at + 1]} << 16 | std::size_t{file[at + 2]} << 8 | file[at + 3];
    const auto data = file.begin() + static_cast<std::ptrdiff_t>(at) + 8;
    if (std::string(data - 4, data) == "IDAT")
      packed.insert(packed.end(), data, data + static_cast<std::ptrdiff_t>(length));
    at += length + 12;
  }
  File raw(size + 1);
  z_stream stream{};
  inflateInit(&stream);
  stream.next_in = packed.data(), stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = raw.data(), stream.avail_out = static_cast<uInt>(raw.size());
  inflate(&stream, Z_FINISH);
  raw.resize(stream.total_out);
  inflateEnd(&stream);
  return raw;
}

TEST(UnpackedPng, HoldsTheBytesThatZlibGives) {
  const auto file = png_of(slopes());
  const auto unpacked = unpacked_png(file);
  ASSERT_TRUE(unpacked);
  const std::size_t size = 200 * (1 + 3 * 300);
  EXPECT_EQ(inflated(*unpacked, size), inflated(file, size));
  EXPECT_EQ(inflated(file, size).size(), size);
  EXPECT_GT(unpacked->size(), size);
}

TEST(UnpackedPng, LeavesToLibpngWhatIsNotWhole) {
  const auto whole = png_of(slopes());
  EXPECT_FALSE(unpacked_png({}));
  for (std::size_t size = 0; size + 13 < whole.size(); size += 7) EXPECT_FALSE(unpacked_png(Bytes(whole).first(size)));
  for (std::size_t at = 50; at < whole.size() - 24; at += 5) {  // a bit of the pixels
    auto damaged = whole;
    damaged[at] ^= 4;
    const auto unpacked = unpacked_png(damaged);
    EXPECT_FALSE(unpacked) << at;
  }
  EXPECT_TRUE(unpacked_png(grey_png(2, 2, {0, 1, 2, 0, 3, 4})));
  EXPECT_FALSE(unpacked_png(grey_png(2, 2, {0, 1, 2, 0, 3})));        // too few
  EXPECT_FALSE(unpacked_png(grey_png(2, 2, {0, 1, 2, 0, 3, 4, 5})));  // too many
  EXPECT_FALSE(unpacked_png(grey_png(2, 0, {0})));
  EXPECT_FALSE(unpacked_png(grey_png(1U << 31, 1U << 31, {0})));
  EXPECT_FALSE(unpacked_png(grey_png(16384, 16384, {0, 1, 2})));  // no buffer of 256 MB for it
}

TEST(UnpackedPng, LeavesInterlacedPicturesToLibpng) {
  const auto file = test::bytes_of(fs::path(VLALIGN_FIXTURES) / "images" / "interlaced.png");
  EXPECT_FALSE(unpacked_png({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}));
}

TEST(UnpackedPng, PixelsWhoseChunkHasAWrongSumAreGoodWhereZlibsIsRight) {
  auto file = grey_png(2, 2, {0, 10, 20, 0, 30, 40});
  file[file.size() - 13] ^= 1;  // the CRC of IDAT
  const auto image = decode_image(std::as_bytes(std::span(file)), "a");
  EXPECT_EQ(image.rgb, (File{10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40}));
}

}  // namespace
}  // namespace vlalign::unpacked_png_test
