#include "unigram_model.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <set>
#include <string_view>

#include "core/check.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

// ---- Protocol buffers' wire format ----

void append_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
}

void append_number(std::string& bytes, unsigned field, std::uint64_t value) {
  append_varint(bytes, field << 3);
  append_varint(bytes, value);
}

void append_bytes(std::string& bytes, unsigned field, std::string_view value) {
  append_varint(bytes, field << 3 | 2);
  append_varint(bytes, value.size());
  bytes += value;
}

void append_float(std::string& bytes, unsigned field, float value) {
  append_varint(bytes, field << 3 | 5);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(bits >> shift));
}

std::string decode_base64(std::string_view text) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const auto digit = kDigits.find(c);
    check(digit != kDigits.npos, "precompiled_charsmap: '{}' is no base64", c);
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>(bits >> count));
  }
  return bytes;
}

// ---- tokenizer.json ----

// Of the normalizers, Strip and Replace collapse spaces, which SentencePiece does itself.
std::string character_map(const json& normalizer) {
  if (normalizer.is_null()) return {};
  const auto type = normalizer.at("type").get<std::string>();
  if (type == "Precompiled") return decode_base64(normalizer.at("precompiled_charsmap").get<std::string>());
  if (type == "Strip" || type == "Replace") return {};
  check(type == "Sequence", "normalizer: expected Precompiled, got {}", type);
  std::string map;
  for (const auto& part : normalizer.at("normalizers")) {
    if (auto found = character_map(part); !found.empty()) map = std::move(found);
  }
  return map;
}

std::set<std::string> special_pieces(const json& tokenizer) {
  std::set<std::string> pieces;
  for (const auto& token : tokenizer.value("added_tokens", json::array())) {
    if (token.value("special", false)) pieces.insert(token.at("content").get<std::string>());
  }
  return pieces;
}

enum PieceType : std::uint64_t { kNormal = 1, kUnknown = 2, kControl = 3 };

}  // namespace

std::string unigram_model(const json& tokenizer) {
  const auto& model = tokenizer.at("model");
  check(!model.value("byte_fallback", false), "model.byte_fallback: not read here for Unigram");
  const auto specials = special_pieces(tokenizer);
  const auto unknown_id = model.at("unk_id").get<std::size_t>();
  const auto& vocabulary = model.at("vocab");
  check(unknown_id < vocabulary.size(), "model.unk_id is {}; the vocabulary has {} entries", unknown_id,
        vocabulary.size());
  std::string proto;
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    const auto text = vocabulary[id].at(0).get<std::string>();
    const auto type = id == unknown_id ? kUnknown : specials.contains(text) ? kControl : kNormal;
    std::string piece;
    append_bytes(piece, 1, text);
    append_float(piece, 2, vocabulary[id].at(1).get<float>());
    append_number(piece, 3, type);
    append_bytes(proto, 1, piece);
  }
  std::string trainer;
  append_number(trainer, 3, 1);  // model_type: UNIGRAM
  append_bytes(trainer, 45, vocabulary[unknown_id].at(0).get<std::string>());
  append_bytes(proto, 2, trainer);
  std::string normalizer;
  for (const unsigned flag : {3U, 4U, 5U}) append_number(normalizer, flag, 1);  // prefix, extra spaces, escaped spaces
  append_bytes(proto, 3, normalizer);
  return proto;
}

std::string unigram_character_map(const json& tokenizer) {
  return character_map(tokenizer.value("normalizer", json()));
}

}  // namespace vlalign
