// What SentencePiece's kind of tokenizers do to a caption before they look for pieces.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "tokenizers/character_map.hpp"

namespace vlalign {

struct PieceTextOptions {
  std::string character_map = {};  ///< a precompiled_charsmap's bytes; empty: characters stay as they are
  bool strip_left = false;         ///< white space at the beginning goes
  bool strip_right = false;        ///< white space at the end goes
  bool collapse_spaces = false;    ///< several spaces become one
  bool split_white_space = true;   ///< any white space ends a word and goes; otherwise only spaces end words, and stay
};

class PieceText {
 public:
  /// Throws Error for a character map that isn't one.
  explicit PieceText(const PieceTextOptions& options);

  const PieceTextOptions& options() const { return options_; }

  /// Characters replaced and spaces collapsed; invalid UTF-8 becomes U+FFFD.
  std::string normalized(std::string_view text) const;

  /// Normalized text with SentencePiece's space (U+2581) before each word.
  std::string words(std::string_view normalized) const;

  /// The next of such words from `position` on, which moves behind it; empty at the end.
  static std::string_view next_word(std::string_view words, std::size_t& position);

 private:
  PieceTextOptions options_;
  CharacterMap map_;
};

/// The parts of a tokenizer.json that say the same. Throws Error for others than these.
PieceTextOptions read_piece_text(const nlohmann::json& normalizer, const nlohmann::json& pre_tokenizer);
/// The map alone, of a normalizer whose other parts are of no account; empty where it has none.
std::string character_map_of(const nlohmann::json& normalizer);

nlohmann::json normalizer_json(const PieceTextOptions& options);
nlohmann::json pre_tokenizer_json(const PieceTextOptions& options);
nlohmann::json meta_space_json();

}  // namespace vlalign
