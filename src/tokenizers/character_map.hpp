// SentencePiece's table of character replacements, as Hugging Face's tokenizers library applies it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

class CharacterMap {
 public:
  CharacterMap() = default;  ///< changes nothing

  /// `bytes`: a precompiled_charsmap, a Darts-clone double-array trie and the replacements it points to. Throws Error
  /// when it isn't one.
  explicit CharacterMap(std::string_view bytes);

  /// A grapheme of at most five bytes that begins with a key of the table becomes the replacement, all of it; otherwise
  /// each of its characters does that is a key. (SentencePiece itself replaces the longest key at each place.)
  std::string apply(std::string_view text) const;

  /// Throws Error where some text's look-up would leave the table, or begin with more keys than SentencePiece has room
  /// for: it checks neither.
  void check_lookups() const;

 private:
  int most_keys(std::size_t place, int depth, std::vector<int>& known) const;
  std::optional<std::string_view> replacement(std::string_view text) const;
  void append(std::string_view grapheme, std::string& result) const;
  void append_graphemes(std::string_view text, std::string& result) const;

  std::vector<std::uint32_t> trie_;
  std::string replacements_;  // each ends with a zero byte
};

}  // namespace vlalign
