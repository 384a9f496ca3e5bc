#include "report/contact_sheet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "core/base64.hpp"
#include "vlalign/image/transform.hpp"

namespace vlalign {
namespace {

constexpr int max_columns = 16;

void paste(Image& sheet, const Image& picture, int left, int top) {
  for (int y = 0; y < picture.height; ++y) {
    const auto from = picture.rgb.begin() + std::ptrdiff_t{3} * y * picture.width;
    const auto to = sheet.rgb.begin() + std::ptrdiff_t{3} * ((top + y) * sheet.width + left);
    std::copy(from, from + std::ptrdiff_t{3} * picture.width, to);
  }
}

ContactSheet lay_out(const std::vector<Image>& pictures, int side) {
  const int count = static_cast<int>(pictures.size());
  ContactSheet sheet{.side = side, .columns = std::clamp(count, 1, max_columns), .rows = 1, .png = {}};
  sheet.rows = std::max(1, (count + sheet.columns - 1) / sheet.columns);
  Image whole{.width = side * sheet.columns, .height = side * sheet.rows, .rgb = {}};
  whole.rgb.assign(std::size_t{3} * static_cast<std::size_t>(whole.width) * static_cast<std::size_t>(whole.height),
                   255);
  for (int i = 0; i < count; ++i) {
    const auto picture = preprocess(pictures[static_cast<std::size_t>(i)], Preprocess{.image_size = side});
    paste(whole, picture, side * (i % sheet.columns), side * (i / sheet.columns));
  }
  sheet.png = encode_png(whole);
  return sheet;
}

}  // namespace

ContactSheet make_contact_sheet(const std::vector<Image>& pictures, std::size_t max_bytes) {
  auto sheet = lay_out(pictures, 64);
  return sheet.png.size() <= max_bytes ? sheet : lay_out(pictures, 48);
}

std::string data_uri(std::string_view type, const std::vector<std::byte>& data) {
  return fmt::format("data:{};base64,{}", type,
                     encode_base64({reinterpret_cast<const char*>(data.data()), data.size()}));
}

}  // namespace vlalign
