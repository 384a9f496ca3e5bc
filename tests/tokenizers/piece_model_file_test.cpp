#include "tokenizers/piece_model_file.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/io/files.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/character_map.hpp"
#include "tokenizers/sentence_piece_tokenizer.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::piece_model_file_test {
namespace {

using test::message_of;

std::string siglip_model() { return read_file(VLALIGN_FIXTURES "/tokenizers/siglip/spiece.model"); }

/// The units of the trie in the fixture's table of replacements.
struct TriePlace {
  std::size_t begin;
  std::uint32_t units;
};

TriePlace trie_in(const std::string& model) {
  const std::string name = "user_defined";
  const auto map = model.find(name) + name.size() + 3;  // a tag and two bytes of length
  std::uint32_t bytes = 0;
  std::memcpy(&bytes, model.data() + map, sizeof(bytes));
  return {map + sizeof(bytes), bytes / 4};
}

TEST(PieceModelFile, OfAPeersTokenizerIsWhole) { EXPECT_NO_THROW(check_piece_model(siglip_model())); }

TEST(PieceModelFile, CutAnywhereButBetweenTwoFieldsIsRefused) {
  const auto model = siglip_model();
  int refused = 0;
  for (std::size_t size = 0; size < model.size(); ++size) {
    try {
      check_piece_model(model.substr(0, size));
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_EQ(static_cast<std::size_t>(refused), model.size() - 712);  // an empty one, or behind one of 711 fields
}

TEST(PieceModelFile, TriesThatLeadNowhereAreRefusedOrHarmless) {
  const auto model = siglip_model();
  const auto [begin, units] = trie_in(model);
  ASSERT_EQ(units, 256U);
  int refused = 0, encoded = 0;
  for (std::uint32_t unit = 0; unit < units; ++unit) {
    for (const std::uint32_t value : {0x7FFF'FF00U, 0xFFFF'FFFFU, 0x8000'0000U, 0x0000'0161U, 0x0000'0361U}) {
      auto changed = model;
      std::memcpy(changed.data() + begin + 4 * unit, &value, sizeof(value));
      try {
        check_piece_model(changed);
      } catch (const Error&) {
        ++refused;
        continue;
      }
#ifdef VLALIGN_SENTENCEPIECE
      SentencePieceTokenizer(changed).encode("Caf\u00e9 \uff21 aaa \u2126 ffi \u2460", 64);
#endif
      ++encoded;
    }
  }
  EXPECT_GT(refused, 10);
  EXPECT_GT(encoded, 10);
}

/// A table whose keys are a, aa, aaa, ...: each ends in a block of its own of the double array.
std::string nested_keys(std::uint32_t keys) {
  constexpr std::uint32_t block = 256, has_leaf = 0x100, offset_in_blocks = 0x200;
  std::vector<std::uint32_t> units(block * (keys + 2), 0x8000'0000);  // the value 0
  std::uint32_t place = block;
  units[0] = place << 10;
  for (std::uint32_t key = 0; key < keys; ++key) {
    const auto child = place ^ 'a';
    place = block * (key + 2) + child % block;
    units[child] = (child ^ place) / block << 10 | offset_in_blocks | has_leaf | 'a';
  }
  std::string map(4 + 4 * units.size(), '\0');
  const auto bytes = static_cast<std::uint32_t>(4 * units.size());
  std::memcpy(map.data(), &bytes, 4);
  std::memcpy(map.data() + 4, units.data(), bytes);
  return map + std::string("b\0", 2);
}

TEST(PieceModelFile, MoreKeysInAKeyThanSentencePieceHasRoomForAreRefused) {
  EXPECT_EQ(CharacterMap(nested_keys(32)).apply("a"), "b");
  EXPECT_NO_THROW(CharacterMap(nested_keys(32)).check_lookups());
  EXPECT_NE(message_of<Error>([] { CharacterMap(nested_keys(33)).check_lookups(); }).find("more than 32"),
            std::string::npos);
}

}  // namespace
}  // namespace vlalign::piece_model_file_test
