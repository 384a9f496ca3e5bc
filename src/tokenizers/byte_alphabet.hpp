// The characters that stand for bytes in the vocabularies of byte-level BPE.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

inline constexpr std::string_view end_of_word = "</w>";

using Symbol = std::uint32_t;
inline constexpr Symbol byte_symbol_count = 256;

/// A printable character for each byte, in the order of GPT-2's and CLIP's vocabularies (GPT-2's bytes_to_unicode):
/// symbol i is characters[i]; where the last symbol of a word is marked, symbol 256 + i is the same with "</w>".
struct ByteAlphabet {
  std::array<std::string, byte_symbol_count> characters;  // of symbol, UTF-8
  std::array<unsigned char, byte_symbol_count> bytes;     // of symbol
  std::array<Symbol, byte_symbol_count> symbols;          // of byte
};
const ByteAlphabet& byte_alphabet();

/// Whether the last symbol of a word carries "</w>".
enum class WordEnd { unmarked, marked };

/// The symbols of a word's bytes, before any merge.
std::vector<Symbol> byte_symbols(std::string_view word, WordEnd end);

}  // namespace vlalign
