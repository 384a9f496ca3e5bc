#include "tokenizers/byte_level_bpe.hpp"

#include <atomic>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/dump_json.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

std::int64_t next_serial() {
  static std::atomic<std::int64_t> serial = 0;
  return ++serial;
}

// A word met before by this thread, in the only place its hash allows.
struct CachedWord {
  std::int64_t serial = 0;  // of the tokenizer
  std::string word;
  std::vector<std::int64_t> ids;
};
constexpr std::size_t most_cached_words = 1 << 14;
constexpr std::size_t longest_cached_word = 64;

}  // namespace

BpeSymbols make_symbols(const std::vector<Merge>& merges, WordEnd end) {
  BpeSymbols symbols{{}, MergeTable(merges.size())};
  std::unordered_map<std::string, Symbol> symbol_of;
  const auto symbol_named = [&](const std::string& text) {
    const auto [entry, is_new] = symbol_of.try_emplace(text, static_cast<Symbol>(symbols.texts.size()));
    if (is_new) symbols.texts.push_back(text);
    return entry->second;
  };
  const auto& characters = byte_alphabet().characters;
  for (const auto& character : characters) symbol_named(character);
  if (end == WordEnd::marked) {
    for (const auto& character : characters) symbol_named(fmt::format("{}{}", character, end_of_word));
  }
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

std::int64_t id_of(const Vocabulary& vocabulary, const std::string& text) {
  const auto found = vocabulary.find(text);
  check(found != vocabulary.end(), "the vocabulary lacks '{}', which the merges need", text);
  return found->second;
}

std::vector<std::string> entries_by_id(const Vocabulary& vocabulary) {
  const auto size = static_cast<std::int64_t>(vocabulary.size());
  std::vector<std::string> entries(vocabulary.size());
  std::vector<bool> is_taken(vocabulary.size());
  for (const auto& [text, id] : vocabulary) {
    check(id >= 0 && id < size, "'{}' has the id {}; the ids of {} entries go from 0 to {}", text, id, size, size - 1);
    const auto index = static_cast<std::size_t>(id);
    check(!is_taken[index], "the id {} stands for both '{}' and '{}'", id, entries[index], text);
    entries[index] = text;
    is_taken[index] = true;
  }
  return entries;
}

ByteLevelBpe::ByteLevelBpe(std::vector<Merge> merges, const Vocabulary& vocabulary, WordEnd end)
    : ByteLevelBpe(merges, make_symbols(merges, end), vocabulary, end) {}

ByteLevelBpe::ByteLevelBpe(std::vector<Merge> merges, BpeSymbols symbols, const Vocabulary& vocabulary, WordEnd end)
    : merges_(std::move(merges)),
      end_(end),
      table_(std::move(symbols.merges)),
      entries_(entries_by_id(vocabulary)),
      serial_(next_serial()) {
  ids_.reserve(symbols.texts.size());
  for (const auto& text : symbols.texts) ids_.push_back(id_of(vocabulary, text));
}

std::vector<std::int64_t> ByteLevelBpe::ids_of_word(std::string_view word) const {
  auto symbols = byte_symbols(word, end_);
  table_.merge(symbols);
  std::vector<std::int64_t> result;
  result.reserve(symbols.size());
  for (const auto symbol : symbols) result.push_back(ids_[symbol]);
  return result;
}

void ByteLevelBpe::append_word(std::string_view word, std::vector<std::int64_t>& ids) const {
  thread_local std::vector<CachedWord> cache(most_cached_words);
  CachedWord uncached;
  auto& cached = word.size() > longest_cached_word
                     ? uncached
                     : cache[std::hash<std::string_view>()(word) & (most_cached_words - 1)];
  if (cached.serial != serial_ || cached.word != word) cached = {serial_, std::string(word), ids_of_word(word)};
  ids.insert(ids.end(), cached.ids.begin(), cached.ids.end());
}

std::string ByteLevelBpe::bytes_of(std::int64_t id) const {
  static const auto byte_of = [] {
    std::unordered_map<std::string_view, unsigned char> map;
    const auto& alphabet = byte_alphabet();
    for (Symbol i = 0; i < byte_symbol_count; ++i) map.emplace(alphabet.characters[i], alphabet.bytes[i]);
    return map;
  }();
  std::string_view entry = entries_[static_cast<std::size_t>(id)];
  const bool ends_word = end_ == WordEnd::marked && entry.ends_with(end_of_word);
  if (ends_word) entry.remove_suffix(end_of_word.size());
  std::string bytes;
  while (!entry.empty()) {
    const auto character = entry.substr(0, static_cast<std::size_t>(first_code_point(entry).length));
    const auto found = byte_of.find(character);
    found == byte_of.end() ? bytes.append(character) : bytes.append(1, static_cast<char>(found->second));
    entry.remove_prefix(character.size());
  }
  return ends_word ? bytes + ' ' : bytes;
}

void ByteLevelBpe::save(const std::filesystem::path& folder) const {
  auto vocabulary = nlohmann::json::object();
  for (std::size_t id = 0; id < entries_.size(); ++id) vocabulary[entries_[id]] = id;
  std::string merges = "#version: 0.2\n";
  for (const auto& [left, right] : merges_) merges += fmt::format("{} {}\n", left, right);
  write_json(folder / "vocab.json", vocabulary);
  write_file_atomically(folder / "merges.txt", merges);
}

}  // namespace vlalign
