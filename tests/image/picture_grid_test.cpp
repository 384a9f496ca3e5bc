#include "image/picture_grid.hpp"

#include <gtest/gtest.h>

namespace vlalign::picture_grid_test {
namespace {

Image plain(int width, int height, std::uint8_t grey) {
  return {.width = width,
          .height = height,
          .rgb = std::vector<std::uint8_t>(static_cast<std::size_t>(3 * width * height), grey)};
}

TEST(PictureGrid, LaysPicturesOutInReadingOrder) {
  const auto grid = picture_grid({plain(8, 6, 10), plain(3, 9, 20), {}, plain(4, 4, 40)}, 4, 3, 1);
  EXPECT_EQ(grid.width, 16);
  EXPECT_EQ(grid.height, 11);
  for (int y = 0; y < grid.height; ++y) {
    for (int x = 0; x < grid.width; ++x) {
      const bool in_gap = x % 5 == 0 || y % 5 == 0;
      const int place = y / 5 * 3 + x / 5;
      const int expected = in_gap || place == 2 || place > 3 ? 255 : 10 * (place + 1);
      ASSERT_EQ(grid.rgb[static_cast<std::size_t>(3 * (y * grid.width + x))], expected) << x << ", " << y;
    }
  }
  EXPECT_EQ(picture_grid({}, 4, 3).rgb, plain(12, 4, 255).rgb);
}

}  // namespace
}  // namespace vlalign::picture_grid_test
