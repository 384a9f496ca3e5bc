#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "core/io/files.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::bpe_trainer_test {
namespace {

using test::TempFolder;
using Captions = std::vector<std::string>;
using Merge = ClipTokenizer::Merge;

std::vector<Merge> merges_of(const Tokenizer& tokenizer) {
  const TempFolder folder;
  tokenizer.save(folder.path());
  std::istringstream lines(read_file(folder.path() / "merges.txt"));
  std::vector<Merge> merges;
  std::string line;
  std::getline(lines, line);  // the version
  while (std::getline(lines, line))
    merges.emplace_back(line.substr(0, line.find(' ')), line.substr(line.find(' ') + 1));
  return merges;
}

// Byte-pair encoding as it is defined, for captions of a-z and spaces: all pairs are counted again for each merge.
std::vector<Merge> plain_merges(const Captions& captions, std::size_t most_entries) {
  using Symbols = std::vector<std::string>;
  std::vector<Symbols> words;
  for (const auto& caption : captions) {
    std::istringstream stream(caption);
    for (std::string word; stream >> word;) {
      Symbols symbols;
      for (const char c : word) symbols.emplace_back(1, c);
      symbols.back() += "</w>";
      words.push_back(symbols);
    }
  }
  std::vector<Merge> merges;
  while (512 + merges.size() + 2 < most_entries) {
    std::map<Merge, int> counts;  // ordered by the pairs' texts
    for (const auto& word : words) {
      for (std::size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    }
    const auto best = std::max_element(counts.begin(), counts.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == counts.end() || best->second < 2) break;
    const auto [left, right] = best->first;
    merges.push_back(best->first);
    for (auto& word : words) {
      Symbols merged;
      for (std::size_t i = 0; i < word.size(); ++i) {
        const bool is_pair = i + 1 < word.size() && word[i] == left && word[i + 1] == right;
        merged.push_back(is_pair ? left + right : word[i]);
        if (is_pair) ++i;
      }
      word = merged;
    }
  }
  return merges;
}

Captions random_captions(unsigned seed, int letters, int captions) {
  std::mt19937 random(seed);
  Captions result;
  for (int i = 0; i < captions; ++i) {
    std::string text;
    for (auto n = random() % 40 + 1; n > 0; --n) {
      const auto letter = static_cast<int>(random() % static_cast<unsigned>(letters + 1));
      text.push_back(letter == letters ? ' ' : static_cast<char>('a' + letter));
    }
    result.push_back(text);
  }
  return result;
}

TEST(BpeTrainer, MergesWhatCountingAllPairsAgainWouldMerge) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    const int letters = 1 + static_cast<int>(seed % 6);
    const auto captions = random_captions(seed, letters, 30);
    const auto size = static_cast<std::size_t>(514 + seed * 5);
    const auto trained = train_tokenizer(captions, static_cast<std::int64_t>(size));
    EXPECT_EQ(merges_of(*trained), plain_merges(captions, size)) << "seed " << seed;
  }
}

TEST(BpeTrainer, BreaksTiesByThePairsTexts) {
  const Captions captions{"cd cd ab ab"};
  const std::vector<Merge> expected{{"a", "b</w>"}, {"c", "d</w>"}};
  EXPECT_EQ(merges_of(*train_tokenizer(captions, 600)), expected);
}

TEST(BpeTrainer, GivesTheSameVocabularyWhateverTheOrderOfTheCaptions) {
  auto captions = random_captions(7, 5, 200);
  const auto expected = merges_of(*train_tokenizer(captions, 700));
  std::shuffle(captions.begin(), captions.end(), std::mt19937(1));
  EXPECT_EQ(merges_of(*train_tokenizer(captions, 700)), expected);
}

TEST(BpeTrainer, StopsAtTheSizeAskedForOrWhenNoPairOccursTwice) {
  const auto captions = random_captions(3, 5, 200);
  EXPECT_EQ(train_tokenizer(captions, 600)->vocab_size(), 600);
  EXPECT_EQ(train_tokenizer(captions, 514)->vocab_size(), 514);
  EXPECT_EQ(train_tokenizer({}, 1000)->vocab_size(), 514);
  EXPECT_EQ(train_tokenizer(Captions{"abc def"}, 1000)->vocab_size(), 514);
  EXPECT_EQ(train_tokenizer(Captions{"ab ab ab"}, 1000)->vocab_size(), 515);
}

TEST(BpeTrainer, RefusesASizeWithoutRoomForTheBytes) {
  EXPECT_EQ(test::message_of<Error>([] { train_tokenizer({}, 513); }),
            "[train_tokenizer] vocab_size: expected at least 514 (256 bytes, twice, and 2 tokens), got 513");
}

TEST(BpeTrainer, LeavesSpecialTokensInCaptionsAlone) {
  const Captions captions(5, "<start_of_text>");
  EXPECT_EQ(train_tokenizer(captions, 600)->vocab_size(), 514);
}

TEST(BpeTrainer, GivesBackTheCaptionsOfAnyLanguage) {
  const Captions captions{
      "a red bicycle leaning on a wall",
      "ein kleiner grüner käfer",
      "女人在海滩上骑自行车",
      "一只 猫 和 一只 狗",
      "кошка сидит на окне",
      "γάτα στο παράθυρο",
      "자전거를 타는 여자",
      "猫が窓辺で寝ている",
      "قطة على النافذة",
      "חתול על החלון",
      "mèo ngồi bên cửa sổ",
      "😀 👩‍🚒 🏳️‍🌈",
  };
  Captions repeated;
  for (int i = 0; i < 3; ++i) repeated.insert(repeated.end(), captions.begin(), captions.end());
  const auto trained = train_tokenizer(repeated, 900);
  EXPECT_GT(trained->vocab_size(), 600);
  for (const auto& caption : captions) {
    const auto ids = trained->encode(caption, 1000);
    EXPECT_EQ(trained->decode(ids), caption);
    EXPECT_LT(ids.size(), caption.size()) << caption;
  }
}

TEST(BpeTrainer, MakesAWordOfEveryFrequentWord) {
  const Captions captions(3, "女人在海滩上骑自行车 bicycle");
  const auto trained = train_tokenizer(captions, 1000);
  EXPECT_EQ(trained->encode(captions[0], 77).size(), 4U);  // start, two words, end
}

}  // namespace
}  // namespace vlalign::bpe_trainer_test
