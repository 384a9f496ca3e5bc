#include "tokenizers/byte_alphabet.hpp"

#include "text/unicode_text.hpp"

namespace vlalign {
namespace {

ByteAlphabet make_byte_alphabet() {
  ByteAlphabet alphabet;
  Symbol symbol = 0;
  const auto add = [&](unsigned byte, char32_t character) {
    alphabet.bytes[symbol] = static_cast<unsigned char>(byte);
    append_utf8(alphabet.characters[symbol], character);
    alphabet.symbols[byte] = symbol++;
  };
  const auto is_printable = [](unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
  };
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (is_printable(byte)) add(byte, byte);
  }
  char32_t character = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (!is_printable(byte)) add(byte, character++);
  }
  return alphabet;
}

}  // namespace

const ByteAlphabet& byte_alphabet() {
  static const auto alphabet = make_byte_alphabet();
  return alphabet;
}

std::vector<Symbol> byte_symbols(std::string_view word, WordEnd end) {
  const auto& alphabet = byte_alphabet();
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (const char c : word) symbols.push_back(alphabet.symbols[static_cast<unsigned char>(c)]);
  if (end == WordEnd::marked && !symbols.empty()) symbols.back() += byte_symbol_count;
  return symbols;
}

}  // namespace vlalign
