#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "vlalign/data/tokenizer.hpp"

namespace vlalign {

/// CLIP's byte-level BPE (github.com/openai/CLIP, simple_tokenizer.py): text is cleaned (ftfy, HTML entities twice,
/// white space, lower case), split into words, each word's bytes are merged by rank, the last symbol of a word carries
/// "</w>". Ids equal open_clip's SimpleTokenizer.
class ClipTokenizer : public Tokenizer {
 public:
  using Merge = std::pair<std::string, std::string>;

  using Vocabulary = std::unordered_map<std::string, std::int64_t>;

  /// Builds the vocabulary in CLIP's order: 256 bytes, 256 bytes with </w>, one entry a merge (none where the result is
  /// there already), start, end. Throws Error when a merge's side is neither a byte nor the result of an earlier merge.
  explicit ClipTokenizer(const std::vector<Merge>& merges);

  /// Takes the ids from a vocabulary of any order instead. Throws Error when it lacks an entry that the merges need, or
  /// its ids aren't 0 to its size, each once.
  ClipTokenizer(const std::vector<Merge>& merges, const Vocabulary& vocabulary);
  ~ClipTokenizer() override;

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override;
  std::string decode(std::span<const std::int64_t> ids) const override;
  std::int64_t vocab_size() const override;
  std::int64_t pad_id() const override;
  std::int64_t end_id() const override;
  void save(const std::filesystem::path& folder) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Learns a vocabulary of at most `vocab_size` entries from captions (byte-pair encoding, Sennrich et al. 2016, on
/// CLIP's words and bytes), so that a model can be trained from scratch in any language.
/// Ties between equally frequent pairs are broken by the pairs' text: the same captions give the same vocabulary.
/// Throws Error when vocab_size < 514 (the bytes, twice, and the two special tokens).
std::shared_ptr<const ClipTokenizer> train_clip_tokenizer(std::span<const std::string> captions,
                                                          std::int64_t vocab_size);

}  // namespace vlalign
