#include "text/damaged_utf8.hpp"

#include <algorithm>

#include "text/unicode_text.hpp"

namespace vlalign {
namespace {

bool is_byte(std::string_view bytes, std::size_t at, unsigned low, unsigned high) {
  if (at >= bytes.size()) return false;
  const auto byte = static_cast<unsigned char>(bytes[at]);
  return byte >= low && byte <= high;
}

int utf8_length(std::string_view bytes, std::size_t at) {
  if (is_byte(bytes, at, 0xC0, 0xDF)) return 2;
  if (is_byte(bytes, at, 0xE0, 0xEF)) return 3;
  if (is_byte(bytes, at, 0xF0, 0xF7)) return 4;
  return 1;
}

constexpr char no_break_space = '\xA0';
constexpr char lost_character = '\x1A';

// The length of a UTF-8 sequence at `at` in which one continuation byte A0 has become a space, else 0. Sequences that
// would give unlikely characters don't count.
std::size_t length_with_space_for_a0(std::string_view bytes, std::size_t at) {
  const auto length = static_cast<std::size_t>(utf8_length(bytes, at));
  if (length == 1 || at + length > bytes.size()) return 0;
  const auto sequence = bytes.substr(at, length);
  const auto trail = sequence.substr(1);
  if (std::count(trail.begin(), trail.end(), ' ') != 1) return 0;
  const auto is_likely_trail = [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == ' ' || (byte >= 0x80 && byte <= 0xBF && (length == 4 || (byte != 0x85 && byte != 0xA0)));
  };
  if (!std::all_of(trail.begin(), trail.end(), is_likely_trail)) return 0;
  switch (length) {
    case 2:
      return std::string_view("\xC2\xC3\xC5\xCE\xD0\xD9").find(sequence[0]) == std::string_view::npos ? 0 : 2;
    case 3:
      return is_byte(sequence, 0, trail[0] == ' ' ? 0xE2 : 0xE0, 0xE3) ? 3 : 0;
    default:
      return is_byte(sequence, 0, 0xF0, 0xF0) ? 4 : 0;
  }
}

// "à" before a space of its own was "Ã\xA0 " and then "Ã ": the word "à" gets its space back, unless it begins one of
// Portuguese's contractions.
std::string restore_a_grave(std::string_view bytes) {
  std::string result;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    result.push_back(bytes[at]);
    if (!bytes.substr(at).starts_with("\xC3 ")) continue;
    const auto rest = bytes.substr(at + 2);
    const auto is_contraction = rest.starts_with(" ") || rest.starts_with("quele") || rest.starts_with("quela") ||
                                rest.starts_with("quilo") || rest.starts_with("s ");
    if (!is_contraction) result.push_back(no_break_space);
  }
  return result;
}

// The length of a UTF-8 or CESU-8 sequence of which bytes are lost (1A, or '?' at most once), else 0.
std::size_t length_with_lost_bytes(std::string_view bytes, std::size_t at) {
  const auto is_lost = [&](std::size_t i) {
    return i < bytes.size() && (bytes[i] == lost_character || bytes[i] == '?');
  };
  const auto is_trail = [&](std::size_t i) { return is_byte(bytes, i, 0x80, 0xBF); };
  if (bytes[at] == lost_character) return 1;
  if (is_byte(bytes, at, 0xED, 0xED) && is_byte(bytes, at + 1, 0xA0, 0xAF) && is_byte(bytes, at + 3, 0xED, 0xED) &&
      is_byte(bytes, at + 4, 0xB0, 0xBF)) {
    const bool all_there = (is_lost(at + 2) || is_trail(at + 2)) && (is_lost(at + 5) || is_trail(at + 5));
    if (all_there && (is_lost(at + 2) || is_lost(at + 5))) return 6;
  }
  const auto length = static_cast<std::size_t>(utf8_length(bytes, at));
  if (length == 1 || at + length > bytes.size()) return 0;
  if (length == 2) {
    const bool is_known_lost = bytes[at + 1] == lost_character && is_byte(bytes, at, 0xC2, 0xDF);
    const bool is_likely_lost = bytes[at + 1] == '?' && is_byte(bytes, at, 0xC2, 0xC3);
    return is_known_lost || is_likely_lost ? 2 : 0;
  }
  if (length == 4 && !is_byte(bytes, at, 0xF0, 0xF4)) return 0;
  int lost = 0;
  for (auto i = at + 1; i < at + length; ++i) {
    if (!is_lost(i) && !is_trail(i)) return 0;
    lost += is_lost(i);
  }
  const auto question_marks = std::count(bytes.begin() + at, bytes.begin() + at + length, '?');
  return lost > 0 && question_marks <= 1 ? length : 0;
}

// A pair of surrogates, three bytes each, as CESU-8 writes characters beyond U+FFFF.
std::optional<char32_t> surrogate_pair(std::string_view bytes) {
  if (!(is_byte(bytes, 0, 0xED, 0xED) && is_byte(bytes, 1, 0xA0, 0xAF) && is_byte(bytes, 2, 0x80, 0xBF) &&
        is_byte(bytes, 3, 0xED, 0xED) && is_byte(bytes, 4, 0xB0, 0xBF) && is_byte(bytes, 5, 0x80, 0xBF))) {
    return std::nullopt;
  }
  const auto bits = [&](std::size_t i, unsigned mask) { return static_cast<unsigned char>(bytes[i]) & mask; };
  return 0x10000 + (bits(1, 0x0F) << 16) + (bits(2, 0x3F) << 10) + (bits(4, 0x0F) << 6) + bits(5, 0x3F);
}

}  // namespace

std::string restore_byte_a0(std::string_view bytes) {
  auto result = restore_a_grave(bytes);
  for (std::size_t at = 0; at < result.size();) {
    const auto length = length_with_space_for_a0(result, at);
    const auto end = at + std::max<std::size_t>(length, 1);
    if (length > 0) std::replace(result.begin() + at, result.begin() + end, ' ', no_break_space);
    at = end;
  }
  return result;
}

std::string replace_lost_bytes(std::string_view bytes) {
  std::string result;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto length = length_with_lost_bytes(bytes, at);
    if (length > 0) {
      append_utf8(result, U'\uFFFD');
      at += length;
    } else {
      result.push_back(bytes[at++]);
    }
  }
  return result;
}

std::optional<std::u32string> decode_utf8_strictly(std::string_view bytes) {
  std::u32string text;
  while (!bytes.empty()) {
    auto [value, length, valid] = first_code_point(bytes);
    if (!valid) {
      if (const auto pair = surrogate_pair(bytes)) {
        value = *pair;
        length = 6;
      } else if (bytes.starts_with("\xC0\x80")) {
        value = 0;
        length = 2;
      } else {
        return std::nullopt;
      }
    }
    text.push_back(value);
    bytes.remove_prefix(static_cast<std::size_t>(length));
  }
  return text;
}

}  // namespace vlalign
