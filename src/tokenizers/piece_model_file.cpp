#include "tokenizers/piece_model_file.hpp"

#include <cstdint>
#include <functional>

#include "core/check.hpp"
#include "tokenizers/character_map.hpp"

namespace vlalign {
namespace {

std::string_view take(std::string_view& rest, std::uint64_t size) {
  check(size <= rest.size(), "is no SentencePiece model, or is cut off");
  const auto taken = rest.substr(0, size);
  rest.remove_prefix(size);
  return taken;
}

std::uint64_t take_integer(std::string_view& rest) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(take(rest, 1).front());
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  fail("is no SentencePiece model");
}

/// Calls `visit` with the number and the bytes of each field that has bytes: texts and inner messages.
void for_each_field(std::string_view message,
                    const std::function<void(std::uint32_t number, std::string_view bytes)>& visit) {
  enum Kind { integer = 0, eight_bytes = 1, bytes = 2, four_bytes = 5 };
  while (!message.empty()) {
    const auto tag = static_cast<std::uint32_t>(take_integer(message));
    switch (tag & 7) {
      case integer:
        take_integer(message);
        break;
      case eight_bytes:
        take(message, 8);
        break;
      case bytes:
        visit(tag >> 3, take(message, take_integer(message)));
        break;
      case four_bytes:
        take(message, 4);
        break;
      default:
        fail("is no SentencePiece model");
    }
  }
}

}  // namespace

void check_piece_model(std::string_view bytes) {
  constexpr std::uint32_t normalizer = 3, denormalizer = 5, character_map = 2;
  for_each_field(bytes, [](std::uint32_t part, std::string_view inner) {
    if (part != normalizer && part != denormalizer) return;
    for_each_field(inner, [](std::uint32_t field, std::string_view map) {
      if (field == character_map) CharacterMap(map).check_lookups();
    });
  });
}

}  // namespace vlalign
