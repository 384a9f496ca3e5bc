#include "vlalign/image/image_view.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <type_traits>
#include <vector>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign::image_view_test {
namespace {

using test::message_of;
using Format = ImageView::Format;

/// 2x2 pixels of three colours and grey; what each format holds of them is written out by hand.
const std::vector<std::uint8_t> rgb{255, 0, 0, 0, 255, 0, 0, 0, 255, 90, 90, 90};

TEST(ImageView, ReadsEveryOrderOfChannels) {
  const std::vector<std::uint8_t> bgr{0, 0, 255, 0, 255, 0, 255, 0, 0, 90, 90, 90};
  const std::vector<std::uint8_t> rgba{255, 0, 0, 7, 0, 255, 0, 7, 0, 0, 255, 7, 90, 90, 90, 7};
  const std::vector<std::uint8_t> bgra{0, 0, 255, 7, 0, 255, 0, 7, 255, 0, 0, 7, 90, 90, 90, 7};
  EXPECT_EQ(to_image({rgb, 2, 2, Format::rgb}).rgb, rgb);
  EXPECT_EQ(to_image({bgr, 2, 2, Format::bgr}).rgb, rgb);
  EXPECT_EQ(to_image({rgba, 2, 2, Format::rgba}).rgb, rgb);
  EXPECT_EQ(to_image({bgra, 2, 2, Format::bgra}).rgb, rgb);
  const std::vector<std::uint8_t> grey{1, 2};
  EXPECT_EQ(to_image({grey, 2, 1, Format::grey}).rgb, (std::vector<std::uint8_t>{1, 1, 1, 2, 2, 2}));
}

TEST(ImageView, SkipsThePaddingOfRows) {
  std::vector<std::uint8_t> padded;
  for (int y = 0; y < 2; ++y) {
    padded.insert(padded.end(), rgb.begin() + 6 * y, rgb.begin() + 6 * (y + 1));
    if (y == 0) padded.insert(padded.end(), {1, 2, 3, 4});  // the last row needs none
  }
  EXPECT_EQ(to_image({padded, 2, 2, Format::rgb, 10}).rgb, rgb);
}

TEST(ImageView, RoundsFloatsAndCutsThemToTheirRange) {
  const std::vector<float> pixels{0.0F, 0.5F, 1.0F, -3.0F, 7.0F, NAN};
  EXPECT_EQ(to_image({pixels, 2, 1, Format::rgb}).rgb, (std::vector<std::uint8_t>{0, 128, 255, 0, 255, 0}));
}

TEST(ImageView, SaysWhatABufferLacks) {
  const auto message = [](auto... arguments) {
    return message_of<Error>([&] { ImageView view(std::span<const std::uint8_t>(rgb), arguments...); });
  };
  EXPECT_EQ(message(0, 2, Format::rgb), "[ImageView] size: expected at least 1x1, got 0x2");
  EXPECT_EQ(message(2, 3, Format::rgb), "[ImageView] pixels: 3 rows 6 bytes apart need 18 bytes, got 12");
  EXPECT_EQ(message(2, 2, Format::rgba), "[ImageView] pixels: 2 rows 8 bytes apart need 16 bytes, got 12");
  EXPECT_EQ(message(2, 2, Format::rgb, 5), "[ImageView] row_bytes: 2 pixels take 6 bytes, got 5");
  EXPECT_EQ(message(2, 2, Format::rgb, 7), "[ImageView] pixels: 2 rows 7 bytes apart need 13 bytes, got 12");
}

TEST(ImageView, CannotBeMadeOfPixelsThatAreAboutToGo) {
  EXPECT_FALSE((std::is_constructible_v<ImageView, Image>));
  EXPECT_TRUE((std::is_constructible_v<ImageView, const Image&>));
  using Bytes = std::vector<std::uint8_t>;
  using Floats = std::vector<float>;
  EXPECT_FALSE((std::is_constructible_v<ImageView, Bytes, int, int, Format>));
  EXPECT_FALSE((std::is_constructible_v<ImageView, Floats, int, int, Format, std::size_t>));
  EXPECT_TRUE((std::is_constructible_v<ImageView, const Bytes&, int, int, Format>));
  EXPECT_TRUE((std::is_constructible_v<ImageView, Floats&, int, int, Format, std::size_t>));
}

TEST(ImageView, IsPreprocessedAsThePictureIs) {
  Image image{40, 30, std::vector<std::uint8_t>(3 * 40 * 30)};
  for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i * 7 % 251);
  std::vector<std::uint8_t> swapped;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3)
    swapped.insert(swapped.end(), {image.rgb[i + 2], image.rgb[i + 1], image.rgb[i]});
  const Preprocess how{.image_size = 16};
  const auto expected = preprocess(image, how).rgb;
  EXPECT_EQ(preprocess(ImageView(image), how).rgb, expected);
  EXPECT_EQ(preprocess(ImageView(swapped, 40, 30, Format::bgr), how).rgb, expected);
}

}  // namespace
}  // namespace vlalign::image_view_test
