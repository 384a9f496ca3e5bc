#include "report/contact_sheet.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base64.hpp"
#include "image/picture_grid.hpp"

namespace vlalign {
namespace {

constexpr int max_columns = 16;

ContactSheet lay_out(const std::vector<Image>& pictures, int side) {
  const int count = static_cast<int>(pictures.size());
  ContactSheet sheet{.side = side, .columns = std::clamp(count, 1, max_columns), .rows = 1, .png = {}};
  sheet.rows = std::max(1, (count + sheet.columns - 1) / sheet.columns);
  sheet.png = encode_png(picture_grid(pictures, side, sheet.columns));
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
