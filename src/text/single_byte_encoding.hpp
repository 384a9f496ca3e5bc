// The single-byte encodings in which UTF-8 is most often misread.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace vlalign {

class SingleByteEncoding {
 public:
  enum class Kind {
    latin1,
    windows,  // unassigned bytes are code points of the same number; byte 1A is U+FFFD, a character lost
    other,
  };

  /// `icu_name` is the encoding's name among ICU's converters.
  SingleByteEncoding(Kind kind, const char* icu_name);

  Kind kind() const { return kind_; }
  bool is_mac() const { return is_mac_; }
  char32_t decode(unsigned char byte) const { return decoded_[byte]; }
  /// Nothing when a character isn't in this encoding.
  std::optional<std::string> encode(std::u32string_view text) const;

 private:
  Kind kind_;
  bool is_mac_;
  std::array<char32_t, 256> decoded_;
  std::unordered_map<char32_t, char> encoded_;
};

/// In the order in which they are worth trying.
std::span<const SingleByteEncoding> single_byte_encodings();

}  // namespace vlalign
