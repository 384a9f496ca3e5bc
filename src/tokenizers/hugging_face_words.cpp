#include "tokenizers/hugging_face_words.hpp"

#include <array>

#include "text/unicode_text.hpp"
#include "tokenizers/hugging_face_text.hpp"

namespace vlalign {
namespace {

enum class Kind : unsigned char { letter, number, space, other };

Kind kind_of(char32_t c) {
  if (is_letter(c)) return Kind::letter;
  if (is_number(c)) return Kind::number;
  return is_white_space(c) ? Kind::space : Kind::other;
}

struct Character {
  Kind kind;
  std::size_t length;  // bytes
};

Character character_at(std::string_view text, std::size_t position) {
  static const auto ascii = [] {
    std::array<Kind, 128> kinds{};
    for (std::size_t c = 0; c < kinds.size(); ++c) kinds[c] = kind_of(static_cast<char32_t>(c));
    return kinds;
  }();
  const auto byte = static_cast<unsigned char>(text[position]);
  if (byte < 0x80) return {ascii[byte], 1};
  const auto [value, length, valid] = first_code_point(text.substr(position));
  return {kind_of(value), static_cast<std::size_t>(length)};
}

std::size_t contraction_length(std::string_view text) {
  static constexpr std::string_view endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  for (const auto ending : endings) {
    if (text.starts_with(ending)) return ending.size();
  }
  return 0;
}

std::size_t end_of_run(std::string_view text, std::size_t position, Kind kind) {
  while (position < text.size()) {
    const auto next = character_at(text, position);
    if (next.kind != kind) break;
    position += next.length;
  }
  return position;
}

// White space before a word leaves its last character to the word.
std::size_t space_length(std::string_view text) {
  std::size_t length = 0;
  std::size_t last = 0;
  while (length < text.size()) {
    const auto next = character_at(text, length);
    if (next.kind != Kind::space) return last > 0 ? last : length;
    last = length;
    length += next.length;
  }
  return length;
}

std::size_t gpt2_word_length(std::string_view text) {
  if (const auto length = contraction_length(text); length > 0) return length;
  const std::size_t start = text[0] == ' ' ? 1 : 0;
  if (start == text.size()) return start;
  const auto kind = character_at(text, start).kind;
  return kind == Kind::space ? space_length(text) : end_of_run(text, start, kind);
}

std::size_t clip_word_length(std::string_view text) {
  for (const std::string_view token : {"<|startoftext|>", "<|endoftext|>"}) {
    if (text.starts_with(token)) return token.size();
  }
  if (const auto length = contraction_length(text); length > 0) return length;
  const auto first = character_at(text, 0);
  return first.kind == Kind::number ? first.length : end_of_run(text, 0, first.kind);
}

// The letters of a contraction in either case; the long s is one too.
std::size_t cased_contraction_length(std::string_view text) {
  constexpr std::string_view long_s = "\u017f";
  if (!text.starts_with('\'') || text.size() < 2) return 0;
  if (text.substr(1).starts_with(long_s)) return 1 + long_s.size();
  const auto lower = [&](std::size_t place) {
    const char c = place < text.size() ? text[place] : '\0';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  };
  const std::string lowered{'\'', lower(1), lower(2)};
  return contraction_length(lowered);
}

bool is_newline(char c) { return c == '\r' || c == '\n'; }

// White space up to its last newline, or else as space_length().
std::size_t cl100k_space_length(std::string_view text) {
  std::size_t length = 0, behind_newline = 0;
  while (length < text.size()) {
    const auto next = character_at(text, length);
    if (next.kind != Kind::space) break;
    length += next.length;
    if (is_newline(text[length - 1])) behind_newline = length;
  }
  return length < text.size() && behind_newline > 0 ? behind_newline : space_length(text);
}

std::size_t cl100k_word_length(std::string_view text) {
  if (const auto length = cased_contraction_length(text); length > 0) return length;
  const auto first = character_at(text, 0);
  if (first.kind == Kind::letter) return end_of_run(text, 0, Kind::letter);
  const auto has_second = first.length < text.size();
  const auto second = has_second ? character_at(text, first.length).kind : Kind::space;
  if (first.kind == Kind::number) {
    std::size_t length = first.length;
    for (int digits = 1; digits < 3 && length < text.size(); ++digits) {
      const auto next = character_at(text, length);
      if (next.kind != Kind::number) break;
      length += next.length;
    }
    return length;
  }
  if (!is_newline(text[0]) && second == Kind::letter) return end_of_run(text, first.length, Kind::letter);
  const bool is_space_before = text[0] == ' ' && second == Kind::other;
  if (first.kind != Kind::other && !is_space_before) return cl100k_space_length(text);
  auto length = end_of_run(text, first.length, Kind::other);
  while (length < text.size() && is_newline(text[length])) ++length;
  return length;
}

}  // namespace

std::string_view next_gpt2_word(std::string_view text, std::size_t& position) {
  if (position >= text.size()) return {};
  const auto rest = text.substr(position);
  const auto word = rest.substr(0, gpt2_word_length(rest));
  position += word.size();
  return word;
}

std::string_view next_clip_word(std::string_view text, std::size_t& position) {
  position = end_of_run(text, position, Kind::space);
  if (position >= text.size()) return {};
  const auto rest = text.substr(position);
  const auto word = rest.substr(0, clip_word_length(rest));
  position += word.size();
  return word;
}

std::string_view next_cl100k_word(std::string_view text, std::size_t& position) {
  if (position >= text.size()) return {};
  const auto rest = text.substr(position);
  const auto word = rest.substr(0, cl100k_word_length(rest));
  position += word.size();
  return word;
}

}  // namespace vlalign
