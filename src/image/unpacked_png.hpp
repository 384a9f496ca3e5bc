// PNG files whose pixels are unpacked before libpng reads them. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "image/codecs.hpp"

namespace vlalign {

/// The same PNG file with its pixels stored instead of compressed, and with a wrong CRC over them: libdeflate unpacks
/// three to ten times faster than the zlib that libpng calls. None where the file isn't whole as far as its pixels go,
/// or is interlaced: libpng then says what is wrong, or reads it as it is.
std::optional<std::vector<std::uint8_t>> unpacked_png(Bytes file);

}  // namespace vlalign
