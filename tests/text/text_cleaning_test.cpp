#include "text/text_cleaning.hpp"

#include <gtest/gtest.h>

#include <string>

namespace vlalign::text_cleaning_test {
namespace {

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(TextCleaning, ResolvesReferencesWithinReferences) {
  EXPECT_EQ(clean_caption("&" + repeated("amp;", 20) + "lt;"), "<");
  EXPECT_EQ(clean_caption("&" + repeated("#38;", 20)), "&");
}

// As many passes as references over a text of their length would take hours.
TEST(TextCleaning, GivesUpOnReferencesNestedWithoutEnd) {
  EXPECT_TRUE(clean_caption("&" + repeated("amp;", 200'000)).starts_with("&amp;amp;"));
  EXPECT_TRUE(clean_caption(repeated("&", 200'000) + "#" + repeated("35;", 200'000)).starts_with("&&&"));
}

}  // namespace
}  // namespace vlalign::text_cleaning_test
