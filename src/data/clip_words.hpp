// How CLIP's byte-level BPE sees text: words, and 512 symbols for their bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

inline constexpr std::string_view kStartText = "<start_of_text>";
inline constexpr std::string_view kEndText = "<end_of_text>";
inline constexpr std::string_view kWordEnd = "</w>";

/// The next word of a cleaned caption from `position` on, which moves behind it; empty at the end of the text.
/// A word is a run of letters, one digit, a run of anything else that isn't white space, an English contraction's
/// ending
/// ('s, 't, 're, 've, 'm, 'll, 'd), or kStartText or kEndText.
std::string_view next_word(std::string_view text, std::size_t& position);

using Symbol = std::uint32_t;
inline constexpr Symbol kByteSymbols = 256;

/// A printable character for each byte, in the order of CLIP's vocabulary (GPT-2's bytes_to_unicode): symbol i is
/// byte_characters()[i] inside a word, symbol 256 + i the same with "</w>" at its end.
struct ByteAlphabet {
  std::array<std::string, kByteSymbols> characters;  // of symbol, UTF-8
  std::array<unsigned char, kByteSymbols> bytes;     // of symbol
  std::array<Symbol, kByteSymbols> symbols;          // of byte
};
const ByteAlphabet& byte_alphabet();

/// The symbols of a word's bytes, before any merge.
std::vector<Symbol> byte_symbols(std::string_view word);

}  // namespace vlalign
