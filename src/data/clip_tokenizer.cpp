#include "vlalign/data/clip_tokenizer.hpp"

#include <atomic>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "clip_words.hpp"
#include "core/check.hpp"
#include "core/files.hpp"
#include "merge_table.hpp"
#include "text_cleaning.hpp"
#include "unicode_text.hpp"

namespace vlalign {
namespace {

using Merge = ClipTokenizer::Merge;
using Vocabulary = ClipTokenizer::Vocabulary;

constexpr std::string_view kHuggingFaceStart = "<|startoftext|>";
constexpr std::string_view kHuggingFaceEnd = "<|endoftext|>";

struct Symbols {
  std::vector<std::string> texts;  // of symbol
  MergeTable merges;
};

Symbols make_symbols(const std::vector<Merge>& merges) {
  Symbols symbols{{}, MergeTable(merges.size())};
  std::unordered_map<std::string, Symbol> symbol_of;
  const auto symbol_named = [&](const std::string& text) {
    const auto [entry, is_new] = symbol_of.try_emplace(text, static_cast<Symbol>(symbols.texts.size()));
    if (is_new) symbols.texts.push_back(text);
    return entry->second;
  };
  const auto& characters = byte_alphabet().characters;
  for (const auto& character : characters) symbol_named(character);
  for (const auto& character : characters) symbol_named(fmt::format("{}{}", character, kWordEnd));
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    for (const auto& side : {left, right}) {
      check(symbol_of.contains(side),
            "merge {} ('{}' with '{}'): '{}' is neither a byte nor the result of an earlier merge", rank + 1, left,
            right, side);
    }
    symbols.merges.add(symbol_of[left], symbol_of[right], symbol_named(left + right), static_cast<std::uint32_t>(rank));
  }
  return symbols;
}

Vocabulary vocabulary_in_clip_order(const std::vector<std::string>& texts) {
  Vocabulary vocabulary;
  for (const auto& text : texts) vocabulary.emplace(text, static_cast<std::int64_t>(vocabulary.size()));
  for (const auto special : {kHuggingFaceStart, kHuggingFaceEnd}) {
    vocabulary.emplace(special, static_cast<std::int64_t>(vocabulary.size()));
  }
  return vocabulary;
}

std::vector<std::string> entries_by_id(const Vocabulary& vocabulary) {
  const auto size = static_cast<std::int64_t>(vocabulary.size());
  std::vector<std::string> entries(vocabulary.size());
  for (const auto& [text, id] : vocabulary) {
    check(id >= 0 && id < size, "'{}' has the id {}; the ids of {} entries go from 0 to {}", text, id, size, size - 1);
    auto& entry = entries[static_cast<std::size_t>(id)];
    check(entry.empty(), "the id {} stands for both '{}' and '{}'", id, entry, text);
    entry = text;
  }
  return entries;
}

std::int64_t id_of(const Vocabulary& vocabulary, const std::string& text) {
  const auto found = vocabulary.find(text);
  check(found != vocabulary.end(), "the vocabulary lacks '{}', which the merges need", text);
  return found->second;
}

std::int64_t id_of_special(const Vocabulary& vocabulary, std::string_view name, std::string_view other_name) {
  auto found = vocabulary.find(std::string(name));
  if (found == vocabulary.end()) found = vocabulary.find(std::string(other_name));
  check(found != vocabulary.end(), "the vocabulary lacks '{}' (or '{}')", name, other_name);
  return found->second;
}

std::int64_t next_serial() {
  static std::atomic<std::int64_t> serial = 0;
  return ++serial;
}

// The bytes that an entry of the vocabulary stands for, a space for the end of a word.
std::string bytes_of(std::string_view entry) {
  static const auto byte_of = [] {
    std::unordered_map<std::string_view, unsigned char> map;
    const auto& alphabet = byte_alphabet();
    for (Symbol i = 0; i < kByteSymbols; ++i) map.emplace(alphabet.characters[i], alphabet.bytes[i]);
    return map;
  }();
  const bool ends_word = entry.ends_with(kWordEnd);
  if (ends_word) entry.remove_suffix(kWordEnd.size());
  std::string bytes;
  while (!entry.empty()) {
    const auto character = entry.substr(0, static_cast<std::size_t>(first_code_point(entry).length));
    const auto found = byte_of.find(character);
    found == byte_of.end() ? bytes.append(character) : bytes.append(1, static_cast<char>(found->second));
    entry.remove_prefix(character.size());
  }
  return ends_word ? bytes + ' ' : bytes;
}

// A word met before by this thread, in the only place its hash allows.
struct CachedWord {
  std::int64_t serial = 0;  // of the tokenizer
  std::string word;
  std::vector<std::int64_t> ids;
};
constexpr std::size_t kCachedWords = 1 << 14;
constexpr std::size_t kLongestCachedWord = 64;

}  // namespace

struct ClipTokenizer::State {
  std::vector<Merge> merges;
  MergeTable table;
  std::vector<std::int64_t> ids;     // of symbol
  std::vector<std::string> entries;  // of id
  std::int64_t start_id;
  std::int64_t end_id;
  std::int64_t serial = next_serial();

  State(const std::vector<Merge>& merge_list, Symbols symbols, const Vocabulary& vocabulary)
      : merges(merge_list),
        table(std::move(symbols.merges)),
        entries(entries_by_id(vocabulary)),
        start_id(id_of_special(vocabulary, kHuggingFaceStart, kStartText)),
        end_id(id_of_special(vocabulary, kHuggingFaceEnd, kEndText)) {
    for (const auto& text : symbols.texts) ids.push_back(id_of(vocabulary, text));
  }

  std::vector<std::int64_t> ids_of_word(std::string_view word) const {
    if (word == kStartText) return {start_id};
    if (word == kEndText) return {end_id};
    auto symbols = byte_symbols(word);
    table.merge(symbols);
    std::vector<std::int64_t> result;
    for (const auto symbol : symbols) result.push_back(ids[symbol]);
    return result;
  }

  void append_word(std::string_view word, std::vector<std::int64_t>& result) const {
    thread_local std::vector<CachedWord> cache(kCachedWords);
    CachedWord uncached;
    auto& cached =
        word.size() > kLongestCachedWord ? uncached : cache[std::hash<std::string_view>()(word) & (kCachedWords - 1)];
    if (cached.serial != serial || cached.word != word) cached = {serial, std::string(word), ids_of_word(word)};
    result.insert(result.end(), cached.ids.begin(), cached.ids.end());
  }
};

ClipTokenizer::ClipTokenizer(const std::vector<Merge>& merges) {
  auto symbols = make_symbols(merges);
  const auto vocabulary = vocabulary_in_clip_order(symbols.texts);
  state_ = std::make_unique<State>(merges, std::move(symbols), vocabulary);
}

ClipTokenizer::ClipTokenizer(const std::vector<Merge>& merges, const Vocabulary& vocabulary)
    : state_(std::make_unique<State>(merges, make_symbols(merges), vocabulary)) {}

ClipTokenizer::~ClipTokenizer() = default;

std::vector<std::int64_t> ClipTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[ClipTokenizer.encode] context_length: expected at least 1, got {}", context_length);
  const auto limit = static_cast<std::size_t>(context_length);
  const auto caption = clean_caption(text);
  std::vector<std::int64_t> ids{state_->start_id};
  std::size_t position = 0;
  while (ids.size() < limit) {
    const auto word = next_word(caption, position);
    if (word.empty()) break;
    state_->append_word(word, ids);
  }
  if (ids.size() >= limit) ids.resize(limit - 1);
  ids.push_back(state_->end_id);
  return ids;
}

std::string ClipTokenizer::decode(std::span<const std::int64_t> ids) const {
  std::string bytes;
  for (const auto id : ids) {
    check(id >= 0 && id < vocab_size(), "[ClipTokenizer.decode] ids: expected 0 to {}, got {}", vocab_size() - 1, id);
    if (id == state_->end_id) break;  // padding follows
    if (id != state_->start_id) bytes += bytes_of(state_->entries[static_cast<std::size_t>(id)]);
  }
  if (bytes.ends_with(' ')) bytes.pop_back();
  return to_utf8(to_utf32(bytes));
}

std::int64_t ClipTokenizer::vocab_size() const { return static_cast<std::int64_t>(state_->entries.size()); }
std::int64_t ClipTokenizer::pad_id() const { return 0; }
std::int64_t ClipTokenizer::end_id() const { return state_->end_id; }

void ClipTokenizer::save(const std::filesystem::path& folder) const {
  auto vocabulary = nlohmann::json::object();
  for (std::int64_t id = 0; id < vocab_size(); ++id) {
    auto text = state_->entries[static_cast<std::size_t>(id)];
    if (id == state_->start_id) text = kHuggingFaceStart;
    if (id == state_->end_id) text = kHuggingFaceEnd;
    vocabulary[text] = id;
  }
  std::string merges = "#version: 0.2\n";
  for (const auto& [left, right] : state_->merges) merges += fmt::format("{} {}\n", left, right);
  const nlohmann::json config{{"tokenizer_class", "CLIPTokenizer"}};  // for transformers' AutoTokenizer
  write_file_atomically(folder / "tokenizer_config.json", config.dump());
  write_file_atomically(folder / "vocab.json", vocabulary.dump());
  write_file_atomically(folder / "merges.txt", merges);
}

}  // namespace vlalign
