// Files that are unusual or damaged, and what Pillow makes of them: fixtures/odd_images (make_odd_images.py).
#include <gtest/gtest.h>

#include <charconv>
#include <fstream>
#include <string>

#include "image/codecs.hpp"
#include "image/picture_fixture.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign::odd_image_test {
namespace {

namespace fs = std::filesystem;
using test::bytes_of;
using test::largest_difference;
using test::pictures_in;
using test::read_ppm;

const fs::path fixtures = VLALIGN_FIXTURES;
const fs::path folder = fixtures / "odd_images";

/// Decoders of JPEG and lossy WebP may round otherwise than Pillow's.
int tolerance(const fs::path& path) { return path.extension() == ".png" ? 0 : 1; }

std::string fault_of(const fs::path& path, PixelsAs as) {
  try {
    read_image(path, 0, as);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(OddImage, IsReadWhereEveryPixelIsThere) {
  for (const auto& path : pictures_in(folder / "good")) {
    const auto fault = fault_of(path, PixelsAs::vlalign);
    EXPECT_EQ(fault, "");
    if (!fault.empty()) continue;
    EXPECT_LE(largest_difference(read_image(path), read_ppm(path.string() + ".ppm")), tolerance(path)) << path;
  }
}

TEST(OddImage, IsAsThePeerSeesItWhereThatIsAsked) {
  for (const auto& where : {fixtures / "images", folder / "good"}) {
    for (const auto& path : pictures_in(where)) {
      const auto expected = read_ppm(folder / "peer" / (path.filename().string() + ".ppm"));
      const auto fault = fault_of(path, PixelsAs::peer);
      EXPECT_EQ(fault, "");
      if (!fault.empty()) continue;
      EXPECT_LE(largest_difference(read_image(path, 0, PixelsAs::peer), expected), tolerance(path)) << path;
    }
  }
}

TEST(OddImage, IsRefusedWhereAPixelIsMissingOrDamaged) {
  for (const auto& path : pictures_in(folder / "bad")) {
    for (const auto as : {PixelsAs::vlalign, PixelsAs::peer})
      EXPECT_TRUE(fault_of(path, as).starts_with("[decode_image] " + path.string() + ": broken "))
          << fault_of(path, as);
  }
  const auto says = [](const char* name, const char* what) {
    const auto fault = fault_of(folder / "bad" / name, PixelsAs::vlalign);
    EXPECT_TRUE(fault.ends_with(what)) << fault;
  };
  says("damaged_pixels.png", "broken PNG file: IDAT: incorrect data check");
  says("cut.png", "broken PNG file: the file ends too early");
  says("cut_rows.jpg", "broken JPEG file: Premature end of JPEG file");
  says("cut_animated.webp", "broken WebP file: it ends too early, or its parts don't fit together");
}

std::string from_hexadecimal(std::string_view digits) {
  std::string bytes(digits.size() / 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    unsigned value = 0;
    std::from_chars(digits.data() + 2 * i, digits.data() + 2 * i + 2, value, 16);
    bytes[i] = static_cast<char>(value);
  }
  return bytes;
}

TEST(OddImage, HasTheOrientationThatPillowFinds) {
  std::ifstream in(folder / "orientation.tsv");
  int cases = 0;
  for (std::string line; std::getline(in, line); ++cases) {
    const auto first = line.find('\t'), second = line.find('\t', first + 1);
    const auto exif = from_hexadecimal(std::string_view(line).substr(0, first));
    const auto xmp = from_hexadecimal(std::string_view(line).substr(first + 1, second - first - 1));
    const Bytes block(reinterpret_cast<const std::uint8_t*>(exif.data()), exif.size());
    EXPECT_EQ(std::to_string(stored_orientation(block, xmp)), line.substr(second + 1)) << line;
  }
  EXPECT_GT(cases, 100);
}

TEST(OddImage, IsAugmentedFromThePixelsThatTheModelSees) {
  const auto path = folder / "good/palette_alpha.png";
  const auto bytes = bytes_of(path);
  const auto peer = decode_for_augment(bytes, "a", {.image_size = 8, .pixels_as = PixelsAs::peer}, {});
  EXPECT_EQ(peer.rgb, read_ppm(folder / "peer/palette_alpha.png.ppm").rgb);
  const auto ours = decode_for_augment(bytes, "a", {.image_size = 8}, {});
  EXPECT_EQ(ours.rgb, read_ppm(path.string() + ".ppm").rgb);
  EXPECT_NE(ours.rgb, peer.rgb);
}

}  // namespace
}  // namespace vlalign::odd_image_test
