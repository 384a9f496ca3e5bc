// A vocabulary that is looked up without a copy of the text.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace vlalign {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

using TextIds = std::unordered_map<std::string, std::int64_t, TextHash, std::equal_to<>>;

}  // namespace vlalign
