#include "image/picture_grid.hpp"

#include <algorithm>
#include <cstddef>

#include "vlalign/image/transform.hpp"

namespace vlalign {
namespace {

void paste(Image& sheet, const Image& picture, int left, int top) {
  for (int y = 0; y < picture.height; ++y) {
    const auto from = picture.rgb.begin() + std::ptrdiff_t{3} * y * picture.width;
    const auto to = sheet.rgb.begin() + std::ptrdiff_t{3} * ((top + y) * sheet.width + left);
    std::copy(from, from + std::ptrdiff_t{3} * picture.width, to);
  }
}

}  // namespace

Image picture_grid(const std::vector<Image>& pictures, int side, int columns, int gap) {
  const int count = static_cast<int>(pictures.size()), pitch = side + gap;
  const int rows = std::max(1, (count + columns - 1) / columns);
  Image sheet{.width = columns * pitch + gap, .height = rows * pitch + gap, .rgb = {}};
  sheet.rgb.assign(std::size_t{3} * static_cast<std::size_t>(sheet.width) * static_cast<std::size_t>(sheet.height),
                   255);
  for (int i = 0; i < count; ++i) {
    const auto& picture = pictures[static_cast<std::size_t>(i)];
    if (picture.width == 0) continue;
    paste(sheet, preprocess(picture, Preprocess{.image_size = side}), gap + pitch * (i % columns),
          gap + pitch * (i / columns));
  }
  return sheet;
}

}  // namespace vlalign
