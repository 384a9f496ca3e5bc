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

#include "tokenizers/added_token.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

struct GemmaTokenizerOptions {
  bool lower_case = false;       ///< as transformers' Siglip2Tokenizer does, not its GemmaTokenizer
  bool add_start_token = false;  ///< before a caption
  std::string start_token = "<bos>";
  std::string end_token = "<eos>";  ///< behind every caption
  std::string pad_token = "<pad>";
  std::string unknown_token = "<unk>";        ///< only written: the pieces <0x00> to <0xFF> spell what is unknown
  std::vector<AddedToken> added_tokens = {};  ///< by default those of the four above that the vocabulary has
};

/// Gemma's BPE, which SigLIP 2 uses: spaces are characters like others, so that a caption is merged as a whole, and a
/// character that the vocabulary lacks becomes a piece for each of its bytes. Ids equal those of transformers'
/// GemmaTokenizer and Siglip2Tokenizer where they end a caption with the end token.
class GemmaTokenizer : public Tokenizer {
 public:
  using Merge = std::pair<std::string, std::string>;
  using Vocabulary = std::unordered_map<std::string, std::int64_t>;

  /// `merges`: the sooner, the earlier in the list. Throws Error when the vocabulary lacks a side or the result of a
  /// merge, a byte's piece or a token that is needed, or its ids aren't 0 to its size, each once; and when an added
  /// token that isn't in it doesn't come next behind it.
  GemmaTokenizer(const std::vector<Merge>& merges, const Vocabulary& vocabulary,
                 const GemmaTokenizerOptions& options = {});
  ~GemmaTokenizer() override;

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override;
  std::string decode(std::span<const std::int64_t> ids) const override;
  std::int64_t vocab_size() const override;
  std::int64_t pad_id() const override;
  std::int64_t end_id() const override;

  /// Writes tokenizer.json and tokenizer_config.json.
  void save(const std::filesystem::path& folder) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
