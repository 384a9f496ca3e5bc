#include <algorithm>
#include <iterator>
#include <optional>
#include <queue>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "text/text_cleaning.hpp"
#include "tokenizers/byte_alphabet.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "tokenizers/clip_words.hpp"

namespace vlalign {
namespace {

using Pair = std::pair<Symbol, Symbol>;

struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    return std::hash<std::uint64_t>()(std::uint64_t{pair.first} << 32 | pair.second);
  }
};

struct Word {
  std::vector<Symbol> symbols;
  std::int64_t count;  // in all captions
};

struct PairCount {
  std::int64_t count = 0;
  std::vector<std::size_t> words;  // that have, or once had, the pair
};

std::vector<Word> count_words(std::span<const std::string> captions) {
  std::unordered_map<std::string, std::int64_t> counts;
  for (const auto& caption : captions) {
    const auto text = clean_caption(caption);
    std::size_t position = 0;
    for (auto word = next_word(text, position); !word.empty(); word = next_word(text, position)) {
      if (word != start_text && word != end_text) ++counts[std::string(word)];
    }
  }
  std::vector<Word> words;
  words.reserve(counts.size());
  for (const auto& [word, count] : counts) words.push_back({byte_symbols(word, WordEnd::marked), count});
  return words;
}

std::vector<Pair> sorted_pairs(const std::vector<Symbol>& symbols) {
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) pairs.emplace_back(symbols[i], symbols[i + 1]);
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

std::vector<Symbol> merged_symbols(const std::vector<Symbol>& symbols, const Pair& pair, Symbol merged) {
  std::vector<Symbol> result;
  result.reserve(symbols.size());
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    const bool is_pair = i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
    result.push_back(is_pair ? merged : symbols[i]);
    i += is_pair;
  }
  return result;
}

struct Queued {
  std::int64_t count;
  Pair pair;
};

// The most frequent pair comes first, of equally frequent ones the first by its texts.
struct ComesLater {
  const std::vector<std::string>& texts;  // of symbol

  bool operator()(const Queued& a, const Queued& b) const {
    if (a.count != b.count) return a.count < b.count;
    return std::tie(texts[a.pair.first], texts[a.pair.second]) > std::tie(texts[b.pair.first], texts[b.pair.second]);
  }
};

// Keeps the number of times that each pair occurs while one pair after the other is merged.
class PairCounter {
 public:
  explicit PairCounter(std::vector<Word> words) : words_(std::move(words)), queue_(ComesLater{texts_}) {
    const auto& characters = byte_alphabet().characters;
    for (const auto& character : characters) symbol_named(character);
    for (const auto& character : characters) symbol_named(character + std::string(end_of_word));
    for (std::size_t i = 0; i < words_.size(); ++i) replace_pairs(i, {}, sorted_pairs(words_[i].symbols));
    for (const auto& [pair, counted] : counts_) queue_.push({counted.count, pair});
  }
  PairCounter(const PairCounter&) = delete;

  std::int64_t symbols() const { return static_cast<std::int64_t>(texts_.size()); }
  const std::string& text(Symbol symbol) const { return texts_[symbol]; }

  // The next pair to merge; nothing when no pair occurs twice.
  std::optional<Pair> best() {
    while (!queue_.empty()) {
      const auto [count_then, pair] = queue_.top();
      const auto count = counts_[pair].count;
      if (count == count_then) return count >= 2 ? std::optional(pair) : std::nullopt;
      queue_.pop();
      if (count > 0 && count < count_then) queue_.push({count, pair});  // a grown one is queued already
    }
    return std::nullopt;
  }

  void merge(const Pair& pair) {
    const auto merged = symbol_named(texts_[pair.first] + texts_[pair.second]);
    std::set<Pair> grown;
    for (const auto index : std::exchange(counts_[pair].words, {})) {
      auto& symbols = words_[index].symbols;
      auto after = merged_symbols(symbols, pair, merged);
      if (after.size() == symbols.size()) continue;
      const auto pairs = sorted_pairs(after);
      replace_pairs(index, sorted_pairs(symbols), pairs);
      std::copy_if(pairs.begin(), pairs.end(), std::inserter(grown, grown.end()),
                   [&](const Pair& p) { return p.first == merged || p.second == merged; });
      symbols = std::move(after);
    }
    for (const auto& p : grown) queue_.push({counts_[p].count, p});
  }

 private:
  Symbol symbol_named(const std::string& text) {
    const auto [entry, is_new] = symbol_of_.try_emplace(text, static_cast<Symbol>(texts_.size()));
    if (is_new) texts_.push_back(text);
    return entry->second;
  }

  void replace_pairs(std::size_t word, const std::vector<Pair>& before, const std::vector<Pair>& after) {
    for (const auto& pair : before) counts_[pair].count -= words_[word].count;
    for (auto pair = after.begin(); pair != after.end(); ++pair) {
      auto& counted = counts_[*pair];
      counted.count += words_[word].count;
      const bool is_listed =
          (pair != after.begin() && *pair == pair[-1]) || std::binary_search(before.begin(), before.end(), *pair);
      if (!is_listed) counted.words.push_back(word);
    }
  }

  std::vector<Word> words_;
  std::vector<std::string> texts_;  // of symbol
  std::unordered_map<std::string, Symbol> symbol_of_;
  std::unordered_map<Pair, PairCount, PairHash> counts_;
  std::priority_queue<Queued, std::vector<Queued>, ComesLater> queue_;  // counts as they were once
};

}  // namespace

std::shared_ptr<const Tokenizer> train_tokenizer(std::span<const std::string> captions, std::int64_t vocab_size) {
  constexpr std::int64_t special_token_count = 2;
  constexpr std::int64_t smallest = 2 * byte_symbol_count + special_token_count;
  check(vocab_size >= smallest,
        "[train_tokenizer] vocab_size: expected at least {} (256 bytes, twice, and {} tokens), got {}", smallest,
        special_token_count, vocab_size);
  PairCounter counter(count_words(captions));
  std::vector<ClipTokenizer::Merge> merges;
  while (counter.symbols() + special_token_count < vocab_size) {
    const auto pair = counter.best();
    if (!pair) break;
    merges.emplace_back(counter.text(pair->first), counter.text(pair->second));
    counter.merge(*pair);
  }
  return std::make_shared<const ClipTokenizer>(merges);
}

}  // namespace vlalign
