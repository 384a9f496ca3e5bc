#include "core/recent_texts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "vlalign/core/random.hpp"

namespace vlalign::recent_texts_test {
namespace {

TEST(RecentTexts, KeepsWhatAPlainListOfTheLastUsedWouldKeep) {
  constexpr std::size_t most = 4;
  RecentTexts<int> recent(most);
  std::vector<std::pair<std::string, int>> plain;  // the one used last in front
  Rng rng({1});
  int found = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto text = "text " + std::to_string(rng.below(7));
    const auto at = std::find_if(plain.begin(), plain.end(), [&](const auto& one) { return one.first == text; });
    const auto* kept = recent.find(text);
    ASSERT_EQ(kept != nullptr, at != plain.end()) << "step " << i;
    if (kept) {
      EXPECT_EQ(*kept, at->second);
      std::rotate(plain.begin(), at, at + 1);
      ++found;
    } else {
      recent.keep(text, i);
      plain.insert(plain.begin(), {text, i});
      if (plain.size() > most) plain.pop_back();
    }
  }
  EXPECT_GT(found, 1000);
}

TEST(RecentTexts, ForgetsAllWhenCleared) {
  RecentTexts<int> recent(3);
  recent.keep("a", 1);
  recent.clear();
  EXPECT_EQ(recent.find("a"), nullptr);
  recent.keep("a", 2);
  EXPECT_EQ(*recent.find("a"), 2);
}

TEST(RecentTexts, KeepsTheFirstOfTwoValuesForAText) {
  RecentTexts<int> recent(3);
  recent.keep("a", 1);
  recent.keep("a", 2);
  EXPECT_EQ(*recent.find("a"), 1);
}

}  // namespace
}  // namespace vlalign::recent_texts_test
