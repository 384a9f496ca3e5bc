#include "text/single_byte_encoding.hpp"

#include <unicode/ucnv.h>

#include <memory>

#include "core/check.hpp"

namespace vlalign {
namespace {

struct CloseConverter {
  void operator()(UConverter* converter) const { ucnv_close(converter); }
};

}  // namespace

SingleByteEncoding::SingleByteEncoding(Kind kind, const char* icu_name)
    : kind_(kind), is_mac_(std::string_view(icu_name) == "macintosh") {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UConverter, CloseConverter> converter(ucnv_open(icu_name, &status));
  check(U_SUCCESS(status), "[ICU] no converter for {}: {}", icu_name, u_errorName(status));
  for (unsigned i = 0; i < 256; ++i) {
    decoded_[i] = i;
    if (i < 0x80) continue;
    const char byte = static_cast<char>(i);
    UChar unit = 0;
    ucnv_toUChars(converter.get(), &unit, 1, &byte, 1, &status);
    if (unit != 0xFFFD) decoded_[i] = unit;
  }
  if (std::string_view(icu_name) == "IBM437") decoded_[0xE6] = U'\u00B5';  // ICU has Greek mu for the micro sign
  if (kind == Kind::windows) decoded_[0x1A] = U'\uFFFD';
  for (unsigned i = 0; i < 256; ++i) encoded_.emplace(decoded_[i], static_cast<char>(i));
}

std::optional<std::string> SingleByteEncoding::encode(std::u32string_view text) const {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t c : text) {
    const auto found = encoded_.find(c);
    if (found == encoded_.end()) return std::nullopt;
    bytes.push_back(found->second);
  }
  return bytes;
}

std::span<const SingleByteEncoding> single_byte_encodings() {
  using Kind = SingleByteEncoding::Kind;
  static const std::array<SingleByteEncoding, 10> encodings{{
      {Kind::latin1, "ISO-8859-1"},
      {Kind::windows, "windows-1252"},
      {Kind::windows, "windows-1251"},
      {Kind::windows, "windows-1250"},
      {Kind::windows, "windows-1253"},
      {Kind::windows, "windows-1254"},
      {Kind::windows, "windows-1257"},
      {Kind::other, "ISO-8859-2"},
      {Kind::other, "macintosh"},
      {Kind::other, "IBM437"},
  }};
  return encodings;
}

}  // namespace vlalign
