#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "emoji/split.hpp"

namespace emoji::emoji_split_test {
namespace {

// English CLDR names with what fixtures/make_emoji_split.py, the rule written in Python, says of them for seed 1.
struct Reference {
  std::vector<std::string> names, families, parts;
};

Reference read_reference() {
  Reference reference;
  std::ifstream stream(VLALIGN_FIXTURES "/emoji_split/names.tsv");
  std::string name, family, part;
  while (std::getline(stream, name, '\t') && std::getline(stream, family, '\t') && std::getline(stream, part)) {
    reference.names.push_back(name);
    reference.families.push_back(family);
    reference.parts.push_back(part);
  }
  return reference;
}

std::string to_string(Part part) {
  switch (part) {
    case Part::train:
      return "train";
    case Part::combinations:
      return "combinations";
    case Part::concepts:
      return "concepts";
    case Part::left_out:
      return "left_out";
  }
  return "unknown";
}

std::map<std::string, Part> split_by_name(const std::vector<std::string>& names, std::uint64_t seed) {
  const auto parts = split(names, seed);
  std::map<std::string, Part> by_name;
  for (std::size_t i = 0; i < names.size(); ++i) by_name[names[i]] = parts[i];
  return by_name;
}

class EmojiSplit : public testing::Test {
 protected:
  void SetUp() override { ASSERT_GT(reference.names.size(), 400u) << "names.tsv is missing or cut"; }

  const Reference reference = read_reference();
};

TEST_F(EmojiSplit, HashesAsFnv1aIsPublished) {
  EXPECT_EQ(fnv1a(""), 0xcbf29ce484222325u);
  EXPECT_EQ(fnv1a("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(fnv1a("foobar"), 0x85944171f73967e8u);
}

TEST_F(EmojiSplit, NamesTheConceptWithoutSkinToneAndGender) {
  EXPECT_EQ(family("woman firefighter: medium-dark skin tone"), "person firefighter");
  EXPECT_EQ(family("man firefighter"), "person firefighter");
  EXPECT_EQ(family("boy: light skin tone"), "child");
  EXPECT_EQ(family("men holding hands"), family("woman and man holding hands"));
  EXPECT_EQ(family("woman’s boot"), "person’s boot");
  EXPECT_EQ(family("woman: dark skin tone, red hair"), "person: red hair");
  EXPECT_EQ(family("family: man, woman, girl, boy"), "family");
  EXPECT_EQ(family("kiss: person, person, light skin tone, dark skin tone"), "kiss");
  EXPECT_EQ(family("keycap: 4"), "keycap: 4");
  EXPECT_EQ(family("woman’s sandal"), "person’s sandal");
  EXPECT_EQ(family("mango"), "mango") << "gender words are merged as whole words only";
}

TEST_F(EmojiSplit, NamesTheSameConceptsAsTheRuleInPython) {
  for (std::size_t i = 0; i < reference.names.size(); ++i) {
    EXPECT_EQ(family(reference.names[i]), reference.families[i]) << reference.names[i];
  }
}

TEST_F(EmojiSplit, SplitsAsTheRuleInPython) {
  const auto parts = split(reference.names, 1);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(to_string(parts[i]), reference.parts[i]) << reference.names[i];
  }
}

TEST_F(EmojiSplit, KeepsEveryPictureOfATestedConceptOutOfTraining) {
  const auto parts = split(reference.names, 7);
  std::set<std::string> tested, other;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool held_out = parts[i] == Part::concepts || parts[i] == Part::left_out;
    (held_out ? tested : other).insert(reference.families[i]);
  }
  EXPECT_FALSE(tested.empty());
  for (const auto& concept_name : tested) EXPECT_FALSE(other.contains(concept_name)) << concept_name;
}

TEST_F(EmojiSplit, TestsConceptsWithoutSkinTonesAndFlags) {
  int tested = 0;
  for (const auto& [name, part] : split_by_name(reference.names, 1)) {
    if (part != Part::concepts) continue;
    ++tested;
    EXPECT_EQ(name.find("skin tone"), std::string::npos) << name;
    EXPECT_NE(name.rfind("flag", 0), 0u) << name;
  }
  EXPECT_GT(tested, 10);
}

TEST_F(EmojiSplit, HoldsOutATenthTwice) {
  std::set<std::string> families(reference.families.begin(), reference.families.end()), held_out;
  std::size_t combinations = 0, others = 0;
  const auto parts = split(reference.names, 1);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    combinations += parts[i] == Part::combinations;
    if (parts[i] == Part::train || parts[i] == Part::combinations) {
      ++others;
    } else {
      held_out.insert(reference.families[i]);
    }
  }
  EXPECT_EQ(combinations, others / 10);
  const auto share = static_cast<double>(held_out.size()) / static_cast<double>(families.size());
  EXPECT_NEAR(share, 0.1, 0.06);  // three standard deviations for 231 families
}

TEST_F(EmojiSplit, TestsOtherCombinationsWithEachOfTenSeedsButTheSameConcepts) {
  const auto first = split_by_name(reference.names, 1);
  std::map<std::string, int> times_tested;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    for (const auto& [name, part] : split_by_name(reference.names, seed)) {
      times_tested[name] += part == Part::combinations;
      EXPECT_EQ(part == Part::concepts, first.at(name) == Part::concepts) << name;
      EXPECT_EQ(part == Part::left_out, first.at(name) == Part::left_out) << name;
    }
  }
  int never_tested = 0;
  for (const auto& [name, times] : times_tested) {
    const bool held_out = first.at(name) == Part::concepts || first.at(name) == Part::left_out;
    EXPECT_LE(times, held_out ? 0 : 1) << name;
    never_tested += !held_out && times == 0;
  }
  EXPECT_LT(never_tested, 10) << "only what is over after ten equal parts";
}

TEST_F(EmojiSplit, DoesNotDependOnTheOrderOfTheNames) {
  auto reversed = reference.names;
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(split_by_name(reversed, 1), split_by_name(reference.names, 1));
}

}  // namespace
}  // namespace emoji::emoji_split_test
