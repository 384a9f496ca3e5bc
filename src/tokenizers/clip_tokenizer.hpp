#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tokenizers/added_token.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

/// What CLIP's tokenizers do to a caption before they merge bytes.
enum class ClipCleaning {
  open_clip,               ///< ftfy, HTML references twice, white space, lower case, as open_clip's SimpleTokenizer
  open_clip_whitespace,    ///< the same in the caption's own case: its clean="whitespace"
  open_clip_canonicalize,  ///< the same without ASCII's punctuation: its clean="canonicalize"
  hugging_face,            ///< NFC, white space, lower case, as transformers' CLIPTokenizer
};

struct ClipTokenizerOptions {
  ClipCleaning cleaning = ClipCleaning::open_clip;
  std::optional<std::int64_t> pad_id = {};  ///< by default 0 with open_clip's cleanings, the end token's with the other
  std::vector<AddedToken> added_tokens = {};  ///< looked for by the other only; by default the start and end tokens
};

/// CLIP's byte-level BPE (github.com/openai/CLIP, simple_tokenizer.py): a cleaned caption is split into words, each
/// word's bytes are merged by rank, the last symbol of a word carries "</w>". Ids equal open_clip's SimpleTokenizer or
/// transformers' CLIPTokenizer, whichever's cleaning is chosen.
class ClipTokenizer : public Tokenizer {
 public:
  using Merge = std::pair<std::string, std::string>;

  using Vocabulary = std::unordered_map<std::string, std::int64_t>;

  /// Builds the vocabulary in CLIP's order: 256 bytes, 256 bytes with </w>, one entry a merge (none where the result is
  /// there already), start, end. Throws Error when a merge's side is neither a byte nor the result of an earlier merge.
  explicit ClipTokenizer(const std::vector<Merge>& merges, const ClipTokenizerOptions& options = {});

  /// Takes the ids from a vocabulary of any order instead. Throws Error when it lacks an entry that the merges need, or
  /// its ids aren't 0 to its size, each once.
  ClipTokenizer(const std::vector<Merge>& merges, const Vocabulary& vocabulary,
                const ClipTokenizerOptions& options = {});
  ~ClipTokenizer() override;

  ClipCleaning cleaning() const;

  /// The same vocabulary with another cleaning. pad_id: by default the cleaning's own.
  std::shared_ptr<const ClipTokenizer> with_cleaning(ClipCleaning cleaning,
                                                     std::optional<std::int64_t> pad_id = {}) const;

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override;
  std::string decode(std::span<const std::int64_t> ids) const override;
  std::int64_t vocab_size() const override;
  std::int64_t pad_id() const override;
  std::int64_t end_id() const override;
  void save(const std::filesystem::path& folder) const override;

 private:
  struct State;
  explicit ClipTokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
