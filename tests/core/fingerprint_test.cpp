#include "core/fingerprint.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <string>

namespace vlalign::fingerprint_test {
namespace {

std::string print_of(const std::string& bytes) { return Fingerprint().add(bytes).hex(); }

/// In how many of the 128 bits two fingerprints differ.
int distance(const std::string& a, const std::string& b) {
  int bits = 0;
  for (std::size_t i = 0; i < 32; i += 16)
    bits += std::popcount(std::stoull(a.substr(i, 16), nullptr, 16) ^ std::stoull(b.substr(i, 16), nullptr, 16));
  return bits;
}

TEST(Fingerprint, IsTheSameForTheSameBytes) {
  EXPECT_EQ(print_of("a red square"), print_of("a red square"));
  EXPECT_EQ(print_of("").size(), 32U);
}

TEST(Fingerprint, ChangesAboutHalfItsBitsWithAnyBitOfTheInput) {
  // Of 128 fair coins fewer than 30 or more than 98 fall on one side with a probability of 1e-9.
  const std::string text = "a photograph of a dog, 27 bytes or so";
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    auto other = text;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    EXPECT_GT(distance(print_of(text), print_of(other)), 30) << bit;
    EXPECT_LT(distance(print_of(text), print_of(other)), 98) << bit;
  }
}

TEST(Fingerprint, TellsWhereAPieceEnds) {
  const auto of = [](const char* a, const char* b) { return Fingerprint().add(a).add(b).hex(); };
  EXPECT_NE(of("ab", "c"), of("a", "bc"));
  EXPECT_NE(of("abc", ""), of("", "abc"));
  EXPECT_NE(of("a", "b"), of("b", "a"));
  EXPECT_NE(print_of(std::string(8, '\0')), print_of(std::string(16, '\0')));
  EXPECT_NE(print_of(std::string(1, '\0')), print_of(""));
}

TEST(Fingerprint, IsAnotherForEachOfManyTexts) {
  std::set<std::string> seen;
  for (int i = 0; i < 100'000; ++i) seen.insert(print_of("caption " + std::to_string(i)));
  EXPECT_EQ(seen.size(), 100'000U);
}

}  // namespace
}  // namespace vlalign::fingerprint_test
