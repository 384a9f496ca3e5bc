// What Pillow makes of the files in fixtures/images (make_images.py) is the reference.
#include "vlalign/image/image.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "image/codecs.hpp"
#include "image/picture_fixture.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign::image_test {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::largest_difference;
using test::read_ppm;

const fs::path folder = fs::path(VLALIGN_FIXTURES) / "images";

std::vector<fs::path> files(const std::string& extension) { return test::pictures_in(folder, extension); }

void expect_as_pillow(const std::string& extension, int tolerance) {
  for (const auto& path : files(extension)) {
    const Image expected = read_ppm(path.string() + ".ppm");
    EXPECT_LE(largest_difference(read_image(path), expected), tolerance) << path.filename();
  }
}

std::string message_for(const fs::path& path) {
  try {
    read_image(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// Nothing where it is refused.
std::optional<Image> picture_of(std::span<const std::byte> bytes) {
  try {
    return decode_image(bytes, "damaged");
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<fs::path> all_files() {
  std::vector<fs::path> all;
  for (const auto* extension : {".jpg", ".png", ".webp"}) {
    for (auto& path : files(extension)) all.push_back(path);
  }
  return all;
}

TEST(Image, DecodesJpegAsPillowUprightGreyAndCmyk) { expect_as_pillow(".jpg", 1); }

TEST(Image, DecodesPngAsPillowToTheBit) { expect_as_pillow(".png", 0); }

TEST(Image, DecodesWebpAsPillow) { expect_as_pillow(".webp", 1); }

TEST(Image, MixesEveryColorWithWhiteByItsAlpha) {
  for (int alpha = 0; alpha < 256; ++alpha) {
    for (int color = 0; color < 256; ++color) {
      const auto c = static_cast<std::uint8_t>(color), inverse = static_cast<std::uint8_t>(255 - color);
      const std::uint8_t rgba[] = {c, inverse, c, static_cast<std::uint8_t>(alpha)};
      std::uint8_t rgb[3];
      lay_on_white(rgba, 1, rgb);
      ASSERT_EQ(rgb[0], std::lround(255 + (color - 255) * (alpha / 255.0))) << color << " at " << alpha;
      ASSERT_EQ(rgb[1], std::lround(255 - color * (alpha / 255.0))) << 255 - color << " at " << alpha;
      ASSERT_EQ(rgb[2], rgb[0]);
    }
  }
}

TEST(Image, EveryOrientationShowsTheSameScene) {
  // The eight files store one picture under eight orientations; turning it by hand gives what each must show.
  const Image stored = read_image(folder / "orientation_1.jpg");
  const int w = stored.width, h = stored.height;
  const auto at = [&](int x, int y) { return stored.rgb.data() + 3 * (y * w + x); };
  const auto source = [&](int orientation, int x, int y) {
    switch (orientation) {
      case 2:
        return at(w - 1 - x, y);
      case 3:
        return at(w - 1 - x, h - 1 - y);
      case 4:
        return at(x, h - 1 - y);
      case 5:
        return at(y, x);
      case 6:
        return at(y, h - 1 - x);
      case 7:
        return at(w - 1 - y, h - 1 - x);
      case 8:
        return at(w - 1 - y, x);
      default:
        return at(x, y);
    }
  };
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image shown = read_image(folder / ("orientation_" + std::to_string(orientation) + ".jpg"));
    ASSERT_EQ(shown.width, orientation < 5 ? w : h);
    ASSERT_EQ(shown.height, orientation < 5 ? h : w);
    for (int y = 0; y < shown.height; ++y) {
      for (int x = 0; x < shown.width; ++x) {
        const auto* pixel = shown.rgb.data() + 3 * (y * shown.width + x);
        ASSERT_TRUE(std::equal(pixel, pixel + 3, source(orientation, x, y))) << orientation << ": " << x << ", " << y;
      }
    }
  }
}

TEST(Image, ReducesAJpegOnlyAsFarAsTheShortestSideAllows) {
  const auto large = bytes_of(folder / "large.jpg");  // 49x32
  const auto expect = [&](int shortest_side, const std::string& reference) {
    const Image image = decode_image(large, "large", shortest_side);
    EXPECT_LE(largest_difference(image, read_ppm(folder / reference)), 1) << shortest_side;
  };
  expect(0, "large.jpg.ppm");
  expect(17, "large.jpg.ppm");
  expect(16, "large.jpg.2.ppm");
  expect(9, "large.jpg.2.ppm");
  expect(8, "large.jpg.4.ppm");
  expect(5, "large.jpg.4.ppm");
  expect(4, "large.jpg.8.ppm");
  expect(1, "large.jpg.8.ppm");
}

TEST(Image, TellsTheFormatByItsContentNotItsName) {
  const auto png = bytes_of(folder / "rgb.png");
  EXPECT_EQ(decode_image(png, "photo.jpg").rgb, read_ppm(folder / "rgb.png.ppm").rgb);
}

TEST(Image, IgnoresWhatFollowsAPicture) {
  for (const auto& path : all_files()) {
    auto bytes = bytes_of(path);
    const Image alone = decode_image(bytes, "alone");
    bytes.resize(bytes.size() + 100, std::byte{0x2a});
    EXPECT_EQ(decode_image(bytes, "followed").rgb, alone.rgb) << path.filename();
  }
}

TEST(Image, RefusesEveryTruncationThatLosesAPixel) {
  for (const auto& path : all_files()) {
    const auto bytes = bytes_of(path);
    const Image whole = decode_image(bytes, "whole");
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      const auto found = picture_of(std::span(bytes).first(length));
      const bool may_be_read = length + 24 > bytes.size();  // the sum and the last chunk of a PNG file
      ASSERT_TRUE(!found || may_be_read) << path.filename() << " cut to " << length << " bytes";
      ASSERT_TRUE(!found || found->rgb == whole.rgb) << path.filename() << " cut to " << length << " bytes";
    }
  }
}

TEST(Image, NeverCrashesOnFlippedBytes) {
  for (const auto& path : all_files()) {
    const auto good = bytes_of(path);
    const Image whole = decode_image(good, "whole");
    Rng rng({7, good.size()});
    int refusals = 0;
    for (int trial = 0; trial < 100; ++trial) {
      auto bytes = good;
      for (int flips = 0; flips < 3; ++flips) {
        auto& byte = bytes[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(bytes.size())))];
        byte ^= static_cast<std::byte>(1 + rng.below(255));
      }
      const auto found = picture_of(bytes);
      refusals += !found;
      // A sum covers all of a PNG file's pixels, so that no damage to them goes unnoticed.
      EXPECT_TRUE(!found || path.extension() != ".png" || found->rgb == whole.rgb) << path.filename();
    }
    EXPECT_GE(refusals, path.extension() == ".png" ? 80 : 1) << path.filename();
  }
}

TEST(Image, ErrorsNameThePictureAndTheFault) {
  const auto bad = folder / "bad";
  EXPECT_NE(message_for(bad / "wrong_comment_crc.png").find("tEXt: CRC error"), std::string::npos);
  EXPECT_NE(message_for(bad / "giant.png").find("giant.png: 30000x30000 pixels, expected at most 2^28"),
            std::string::npos);
  EXPECT_NE(message_for(bad / "giant.jpg").find("giant.jpg: 65500x65500 pixels, expected at most 2^28"),
            std::string::npos);
  EXPECT_NE(message_for(folder / "large.jpg.ppm").find("large.jpg.ppm: its first bytes are those of no JPEG"),
            std::string::npos);
  EXPECT_NE(message_for(folder / "absent.png").find("absent.png"), std::string::npos);

  const auto jpeg = bytes_of(folder / "large.jpg");
  try {
    decode_image(std::span(jpeg).first(jpeg.size() / 2), "half.jpg");
    ADD_FAILURE() << "half a file was taken for a whole one";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[decode_image] half.jpg: broken JPEG file: Premature end of JPEG file");
  }
  try {
    decode_image({}, "empty.png");
    ADD_FAILURE() << "no bytes were taken for a picture";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[decode_image] empty.png: empty, expected a JPEG, PNG or WebP file");
  }
}

TEST(Image, EncodesPngWithoutLoss) {
  const Image image = read_ppm(folder / "large.jpg.ppm");
  const auto file = encode_png(image);
  const Image back = decode_image(file, "encoded");
  EXPECT_EQ(back.width, image.width);
  EXPECT_EQ(back.height, image.height);
  EXPECT_EQ(back.rgb, image.rgb);
  EXPECT_THROW(encode_png({}), Error);
  EXPECT_THROW(encode_png({2, 2, std::vector<std::uint8_t>(11)}), Error);
}

TEST(Image, KnowsImageFilesByExtension) {
  for (const auto* name : {"a.jpg", "b.JPEG", "c.Png", "d.webp", "e.jfif", "f.JPE", "g.apng"})
    EXPECT_TRUE(is_image_file(name)) << name;
  for (const auto* name : {"jpg", "a.gif", "b.jpg.txt", ".jpg", ""}) EXPECT_FALSE(is_image_file(name)) << name;
}

}  // namespace
}  // namespace vlalign::image_test
