// Byte-level BPE with a vocabulary: what CLIP's and GPT-2's tokenizers share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizers/byte_alphabet.hpp"
#include "tokenizers/merge_table.hpp"

namespace vlalign {

using Merge = std::pair<std::string, std::string>;
using Vocabulary = std::unordered_map<std::string, std::int64_t>;

/// The bytes and what the merges make of them, in the order of CLIP's vocabulary: symbol i is texts[i].
struct BpeSymbols {
  std::vector<std::string> texts;
  MergeTable merges;
};

/// Throws Error when a merge's side is neither a byte nor the result of an earlier merge.
BpeSymbols make_symbols(const std::vector<Merge>& merges, WordEnd end);

/// The id of `text`, which the vocabulary must have.
std::int64_t id_of(const Vocabulary& vocabulary, const std::string& text);

/// The texts of ids 0, 1, ...; throws Error when the ids aren't 0 to the vocabulary's size, each once.
std::vector<std::string> entries_by_id(const Vocabulary& vocabulary);

class ByteLevelBpe {
 public:
  ByteLevelBpe(std::vector<Merge> merges, const Vocabulary& vocabulary, WordEnd end);
  ByteLevelBpe(std::vector<Merge> merges, BpeSymbols symbols, const Vocabulary& vocabulary, WordEnd end);

  /// Appends the ids of a word. Short words met before on this thread are looked up.
  void append_word(std::string_view word, std::vector<std::int64_t>& ids) const;

  /// The bytes that an id stands for; a space for the end of a word.
  std::string bytes_of(std::int64_t id) const;

  std::int64_t size() const { return static_cast<std::int64_t>(entries_.size()); }

  const std::string& entry(std::int64_t id) const { return entries_[static_cast<std::size_t>(id)]; }

  /// Writes vocab.json and merges.txt.
  void save(const std::filesystem::path& folder) const;

 private:
  std::vector<std::int64_t> ids_of_word(std::string_view word) const;

  std::vector<Merge> merges_;
  WordEnd end_;
  MergeTable table_;
  std::vector<std::int64_t> ids_;     // of symbol
  std::vector<std::string> entries_;  // of id
  std::int64_t serial_;               // tells this one's words from another's in the cache
};

}  // namespace vlalign
