#include "tokenizers/clip_words.hpp"

#include <array>

#include "text/unicode_text.hpp"

namespace vlalign {
namespace {

enum class ClipKind : unsigned char { letter, number, space, other };

// The iota subscript is in no class of CLIP's regular expression, which ignores case: it isn't a letter, but the
// letters that differ from it by case only keep it from being anything else.
constexpr char32_t iota_subscript = 0x345;

ClipKind clip_kind_of(char32_t c) {
  if (c == iota_subscript) return ClipKind::space;
  if (is_letter(c)) return ClipKind::letter;
  if (is_number(c)) return ClipKind::number;
  return is_space(c) ? ClipKind::space : ClipKind::other;
}

constexpr auto ascii_kinds = [] {
  std::array<ClipKind, 128> kinds{};
  for (std::size_t c = 0; c < kinds.size(); ++c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool is_digit = c >= '0' && c <= '9';
    kinds[c] = is_letter  ? ClipKind::letter
               : is_digit ? ClipKind::number
               : c == ' ' ? ClipKind::space
                          : ClipKind::other;
  }
  return kinds;
}();

struct ClipCharacter {
  ClipKind kind;
  std::size_t length;  // bytes
};

ClipCharacter clip_character_at(std::string_view text, std::size_t position) {
  const auto byte = static_cast<unsigned char>(text[position]);
  if (byte < 0x80) return {ascii_kinds[byte], 1};
  const auto [value, length, valid] = first_code_point(text.substr(position));
  return {clip_kind_of(value), static_cast<std::size_t>(length)};
}

// The length of `lower`, ASCII's lower case, at the start of the text, else 0, in any case. As in a regular expression
// that ignores case, U+017F, the long s, counts as s.
std::size_t match_ignoring_case(std::string_view text, std::string_view lower) {
  constexpr std::string_view long_s = "\u017F";
  std::size_t length = 0;
  for (const char c : lower) {
    const auto rest = text.substr(length);
    if (c == 's' && rest.starts_with(long_s)) {
      length += long_s.size();
    } else if (rest.starts_with(c) || (c >= 'a' && c <= 'z' && rest.starts_with(static_cast<char>(c - ('a' - 'A'))))) {
      ++length;
    } else {
      return 0;
    }
  }
  return length;
}

std::size_t fixed_word_length(std::string_view text) {
  static constexpr std::string_view special_words[] = {start_text, end_text, "'s",  "'t", "'re",
                                                       "'ve",      "'m",     "'ll", "'d"};
  if (text[0] != '<' && text[0] != '\'') return 0;
  for (const auto word : special_words) {
    if (const auto length = match_ignoring_case(text, word); length > 0) return length;
  }
  return 0;
}

std::size_t word_length(std::string_view text) {
  if (const auto length = fixed_word_length(text); length > 0) return length;
  const auto first = clip_character_at(text, 0);
  auto length = first.length;
  if (first.kind == ClipKind::number) return length;
  while (length < text.size()) {
    const auto next = clip_character_at(text, length);
    if (next.kind != first.kind) break;
    length += next.length;
  }
  return length;
}

}  // namespace

std::string_view next_word(std::string_view text, std::size_t& position) {
  while (position < text.size()) {
    const auto first = clip_character_at(text, position);
    if (first.kind != ClipKind::space) break;
    position += first.length;
  }
  if (position == text.size()) return {};
  const auto word = text.substr(position, word_length(text.substr(position)));
  position += word.size();
  return word;
}

}  // namespace vlalign
