#include "tabletop/words.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "tabletop/scene.hpp"

namespace tabletop::words_test {
namespace {

constexpr std::array cells{Combinations::seen, Combinations::unseen, Combinations::all};
constexpr std::array wordings{Wording::demonstrated, Wording::paraphrase, Wording::synonyms};

bool is_chinese(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

// Where a word stands in a sentence; an English one stands alone.
std::size_t find_word(const std::string& sentence, const std::string& word) {
  if (is_chinese(word)) return sentence.find(word);
  for (auto at = sentence.find(word); at != std::string::npos; at = sentence.find(word, at + 1)) {
    const auto is_letter = [&](std::size_t i) { return i < sentence.size() && std::isalpha(sentence[i]) != 0; };
    if (!is_letter(at + word.size()) && (at == 0 || !is_letter(at - 1))) return at;
  }
  return std::string::npos;
}

bool has_word(const std::string& sentence, const std::string& word) {
  return find_word(sentence, word) != std::string::npos;
}

std::vector<std::string> all_words(const Name& name) {
  auto words = name.english;
  words.insert(words.end(), name.chinese.begin(), name.chinese.end());
  return words;
}

bool names(const std::string& sentence, const Name& name) {
  const auto words = all_words(name);
  return std::any_of(words.begin(), words.end(), [&](const auto& word) { return has_word(sentence, word); });
}

bool fits(const std::string& sentence, const Object& object) {
  return names(sentence, colours()[object.colour]) && names(sentence, shapes()[object.shape]);
}

// The words before the object's name: a sentence's beginning.
std::string beginning(const std::string& sentence) {
  auto end = sentence.size();
  for (const auto* names : {&shapes(), &colours(), &sizes()}) {
    for (const auto& name : *names) {
      for (const auto& word : all_words(name)) end = std::min(end, find_word(sentence, word));
    }
  }
  return sentence.substr(0, end);
}

std::vector<EpisodeStart> many_episodes(Wording wording) {
  std::vector<EpisodeStart> starts;
  for (const auto cell : cells) {
    for (std::uint64_t seed = 0; seed < 400; ++seed) starts.push_back(make_episode(seed, cell, wording));
  }
  return starts;
}

TEST(Words, AnInstructionNamesTheTargetAndFitsNoOtherObject) {
  for (const auto wording : wordings) {
    for (const auto& start : many_episodes(wording)) {
      const auto& objects = start.scene.objects;
      for (int i = 0; i < std::ssize(objects); ++i) {
        EXPECT_EQ(fits(start.instruction, objects[i]), i == start.task.target) << start.instruction;
      }
    }
  }
}

TEST(Words, ASizeInAnInstructionIsTheTargets) {
  int sized = 0;
  for (const auto wording : wordings) {
    for (const auto& start : many_episodes(wording)) {
      const auto size = start.scene.objects[start.task.target].size;
      for (const auto& word : sizes()[1 - size].english) EXPECT_FALSE(has_word(start.instruction, word));
      for (const auto& word : sizes()[size].english) sized += has_word(start.instruction, word) ? 1 : 0;
    }
  }
  EXPECT_GT(sized, 50);
}

TEST(Words, APushNamesItsSideAndNoOther) {
  const std::array<std::vector<std::string>, 4> words{
      {{"left", "左"},
       {"right", "右"},
       {"near side", "towards me", "nearer", "closer", "近", "我这边", "前"},
       {"far side", "away", "further", "farther", "远", "后"}}};
  for (const auto wording : wordings) {
    for (const auto& start : many_episodes(wording)) {
      for (int side = 0; side < 4; ++side) {
        const auto is_named = std::any_of(words[side].begin(), words[side].end(), [&](const auto& word) {
          return start.instruction.find(word) != std::string::npos;
        });
        const bool is_wanted = start.task.skill == Skill::push && static_cast<int>(start.task.side) == side;
        EXPECT_EQ(is_named, is_wanted) << start.instruction;
      }
    }
  }
}

TEST(Words, ParaphrasesBeginUnlikeAnyDemonstrationAndSynonymsAsTheyDo) {
  std::array<std::set<std::string>, wordings.size()> beginnings;
  for (const auto wording : wordings) {
    for (const auto& start : many_episodes(wording)) {
      beginnings[static_cast<std::size_t>(wording)].insert(beginning(start.instruction));
    }
  }
  EXPECT_GE(beginnings[0].size(), 12);
  EXPECT_GE(beginnings[1].size(), 12);
  for (const auto& words : beginnings[1]) EXPECT_FALSE(beginnings[0].contains(words)) << words;
  EXPECT_EQ(beginnings[2], beginnings[0]);
}

TEST(Words, DemonstrationsUseFirstNamesAndTheOthersSynonymsOfShapes) {
  for (const auto wording : wordings) {
    for (const auto& start : many_episodes(wording)) {
      const auto& shape = shapes()[start.scene.objects[start.task.target].shape];
      const auto& words = is_chinese(start.instruction) ? shape.chinese : shape.english;
      const auto named = std::find_if(words.rbegin(), words.rend(),
                                      [&](const auto& word) { return has_word(start.instruction, word); });
      ASSERT_NE(named, words.rend()) << start.instruction;
      EXPECT_EQ(*named == words[0], wording == Wording::demonstrated) << start.instruction;
    }
  }
}

TEST(Words, ThreeInstructionsOfTenAreChinese) {
  const auto starts = many_episodes(Wording::demonstrated);
  const auto chinese =
      std::count_if(starts.begin(), starts.end(), [](const auto& start) { return is_chinese(start.instruction); });
  EXPECT_NEAR(static_cast<double>(chinese) / static_cast<double>(starts.size()), 0.3, 0.06);  // 4.5 deviations
}

TEST(Descriptions, UseEveryNameAndBeginNoSentenceAsInstructionsDo) {
  std::set<std::string> instructions;
  std::string everything;
  std::set<std::string> captions;
  for (const auto wording : wordings) {
    for (const auto& start : many_episodes(wording)) {
      instructions.insert(start.instruction);
      vlalign::Rng rng({captions.size()});
      for (const auto& caption : descriptions(start.scene, rng)) {
        captions.insert(caption);
        everything += caption + "\n";
      }
    }
  }
  for (const auto* names : {&shapes(), &colours(), &sizes()}) {
    for (const auto& name : *names) {
      for (const auto& word : all_words(name)) EXPECT_TRUE(has_word(everything, word)) << word;
    }
  }
  for (const auto& caption : captions) EXPECT_FALSE(instructions.contains(caption)) << caption;
}

const Object& only_object(const std::vector<Object>& objects, const std::string& name) {
  const auto found =
      std::find_if(objects.begin(), objects.end(), [&](const auto& object) { return fits(name, object); });
  EXPECT_NE(found, objects.end()) << name;
  return *found;
}

TEST(Descriptions, TellTrueRelations) {
  struct Relation {
    std::string words;
    double Object::*coordinate;
    bool is_less;
  };
  const std::vector<Relation> relations{{"left of the", &Object::x, true},
                                        {"right of the", &Object::x, false},
                                        {"nearer than the", &Object::y, true},
                                        {"behind the", &Object::y, false}};
  std::vector<int> checked(relations.size());
  for (const auto& start : many_episodes(Wording::demonstrated)) {
    vlalign::Rng rng({7});
    std::vector<std::string> captions;
    for (int i = 0; i < 4; ++i) std::ranges::move(descriptions(start.scene, rng), std::back_inserter(captions));
    for (const auto& caption : captions) {
      for (std::size_t i = 0; i < relations.size(); ++i) {
        const auto& [words, coordinate, is_less] = relations[i];
        const auto at = caption.find(words);
        if (at == std::string::npos) continue;
        const auto& one = only_object(start.scene.objects, caption.substr(0, at));
        const auto& other = only_object(start.scene.objects, caption.substr(at + words.size()));
        EXPECT_EQ(one.*coordinate < other.*coordinate, is_less) << caption;
        ++checked[i];
      }
    }
  }
  for (const auto count : checked) EXPECT_GT(count, 50);
}

bool holds_any(const std::string& text, const std::vector<std::string>& words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const auto& word) { return text.find(word) != std::string::npos; });
}

/// What is done is told without a name every other time.
bool tells_of(const std::string& caption, const Object& object) {
  return holds_any(caption, {"thing", "东西"}) || fits(caption, object);
}

TEST(Descriptions, SayWhatIsHeldUp) {
  auto scene = make_episode(1, Combinations::all, Wording::demonstrated).scene;
  scene.objects[2].is_held = true;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    vlalign::Rng rng({seed});
    const auto caption = descriptions(scene, rng)[2];
    EXPECT_TRUE(tells_of(caption, scene.objects[2])) << caption;
    EXPECT_TRUE(holds_any(caption, {"gripper", "robot", "held", "raised", "hoisted", "夹爪", "举", "抓"})) << caption;
  }
}

const std::pair<Side, std::vector<std::string>> sides[] = {
    {Side::left, {"left", "左"}},
    {Side::right, {"right", "右"}},
    {Side::near, {"near", "me", "front", "us", "近", "我", "前"}},
    {Side::far, {"far", "away", "back", "远", "后"}}};

TEST(Descriptions, SayAtWhichSideTheGripperIs) {
  auto scene = make_episode(1, Combinations::all, Wording::demonstrated).scene;
  for (const auto& [side, words] : sides) {
    const auto [x, y] = direction(side);
    scene.gripper = {0.15 * x, 0.15 * y, 0.1};
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      vlalign::Rng rng({seed});
      const auto captions = descriptions(scene, rng);
      const auto& caption = captions[scene.objects.size()];
      EXPECT_TRUE(holds_any(caption, {"gripper", "夹爪"})) << caption;
      EXPECT_TRUE(holds_any(caption, words)) << caption;
    }
  }
}

TEST(Descriptions, SayWhatIsPushedAndToWhichSide) {
  auto scene = make_episode(1, Combinations::all, Wording::demonstrated).scene;
  for (const auto& [side, words] : sides) {
    scene.objects[2].pushed = side;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      vlalign::Rng rng({seed});
      const auto caption = descriptions(scene, rng)[2];
      EXPECT_TRUE(tells_of(caption, scene.objects[2])) << caption;
      EXPECT_TRUE(holds_any(caption, words)) << caption;
    }
  }
}

}  // namespace
}  // namespace tabletop::words_test
