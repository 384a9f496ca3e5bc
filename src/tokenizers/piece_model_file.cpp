#include "tokenizers/piece_model_file.hpp"

#include <bit>
#include <cstdint>

#include "core/check.hpp"
#include "core/utf8.hpp"
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

struct Field {
  std::uint32_t number;
  std::uint64_t integer = 0;    // of a whole number, or the bits of a floating-point one
  std::string_view bytes = {};  // of texts and inner messages
};

std::uint64_t little_endian_bits(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

/// Calls `visit` with each field.
template <typename Visit>
void for_each_field(std::string_view message, const Visit& visit) {
  enum Kind { integer = 0, eight_bytes = 1, bytes = 2, four_bytes = 5 };
  while (!message.empty()) {
    const auto tag = static_cast<std::uint32_t>(take_integer(message));
    Field field{.number = tag >> 3};
    switch (tag & 7) {
      case integer:
        field.integer = take_integer(message);
        break;
      case eight_bytes:
        field.integer = little_endian_bits(take(message, 8));
        break;
      case bytes:
        field.bytes = take(message, take_integer(message));
        break;
      case four_bytes:
        field.integer = little_endian_bits(take(message, 4));
        break;
      default:
        fail("is no SentencePiece model");
    }
    visit(field);
  }
}

// The numbers of sentencepiece_model.proto's fields.
constexpr std::uint32_t model_piece = 1, model_trainer = 2, model_normalizer = 3, model_denormalizer = 5;
constexpr std::uint32_t piece_text = 1, piece_score = 2, piece_type = 3;
constexpr std::uint32_t trainer_algorithm = 3, trainer_unknown_id = 40;
constexpr std::uint32_t normalizer_map = 2;

ModelPiece parse_piece(std::string_view message) {
  ModelPiece piece;
  for_each_field(message, [&](const Field& field) {
    if (field.number == piece_text) piece.text = field.bytes;
    if (field.number == piece_score) piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field.integer));
    if (field.number == piece_type) piece.type = static_cast<PieceType>(field.integer);
  });
  check(is_utf8(piece.text), "a piece of the model is not UTF-8: '{}'", as_utf8(piece.text));
  return piece;
}

}  // namespace

PieceModelFile parse_piece_model(std::string_view bytes) {
  check_piece_model(bytes);
  PieceModelFile model;
  for_each_field(bytes, [&](const Field& part) {
    if (part.number == model_piece) model.pieces.push_back(parse_piece(part.bytes));
    if (part.number == model_trainer)
      for_each_field(part.bytes, [&](const Field& field) {
        if (field.number == trainer_algorithm) model.algorithm = static_cast<PieceModelFile::Algorithm>(field.integer);
        if (field.number == trainer_unknown_id) model.unknown_id = static_cast<std::int32_t>(field.integer);
      });
    if (part.number == model_normalizer)
      for_each_field(part.bytes, [&](const Field& field) {
        if (field.number == normalizer_map) model.character_map = field.bytes;
      });
  });
  check(!model.pieces.empty(), "is no SentencePiece model: it has no pieces");
  return model;
}

void check_piece_model(std::string_view bytes) {
  for_each_field(bytes, [](const Field& part) {
    if (part.number != model_normalizer && part.number != model_denormalizer) return;
    for_each_field(part.bytes, [](const Field& field) {
      if (field.number == normalizer_map) CharacterMap(field.bytes).check_lookups();
    });
  });
}

}  // namespace vlalign
