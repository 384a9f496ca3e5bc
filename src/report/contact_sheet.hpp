// Many small pictures in one, so that a page carries and decodes a single file. Internal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/image/image.hpp"

namespace vlalign {

struct ContactSheet {
  int side = 0;  ///< pixels of a picture, square
  int columns = 0;
  int rows = 0;
  std::vector<std::byte> png;
};

/// Pictures in reading order, 64 px each, or 48 where that would make the file larger than `max_bytes`.
ContactSheet make_contact_sheet(const std::vector<Image>& pictures, std::size_t max_bytes);

/// "data:TYPE;base64,..."
std::string data_uri(std::string_view type, const std::vector<std::byte>& data);

}  // namespace vlalign
