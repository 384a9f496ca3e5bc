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

struct Gpt2TokenizerOptions {
  std::string start_token = {};  ///< none where it is empty: GPT-2; RoBERTa's <s>
  std::string end_token = "<|endoftext|>";
  std::optional<std::int64_t> pad_id = {};  ///< by default the end token's
  bool add_prefix_space = false;   ///< begins a caption with a space, so that its first word is like the others
  std::string unknown_token = {};  ///< named in the files; no caption needs it
  std::string mask_token = {};     ///< none where it is empty
  std::vector<AddedToken> added_tokens = {};  ///< by default the start and end tokens
};

/// GPT-2's byte-level BPE (Radford et al. 2019): words keep the space before them and the case they have, and nothing
/// is cleaned. The ids are those of transformers' GPT2Tokenizer, with the end token behind them, where a causal text
/// tower pools; with a start token they are RobertaTokenizer's (Liu et al. 2019): <s> ... </s>.
class Gpt2Tokenizer : public Tokenizer {
 public:
  using Merge = std::pair<std::string, std::string>;
  using Vocabulary = std::unordered_map<std::string, std::int64_t>;

  /// Throws Error when a merge's side is neither a byte nor the result of an earlier merge, the vocabulary lacks an
  /// entry that the merges need or the end token, or its ids aren't 0 to its size, each once.
  Gpt2Tokenizer(const std::vector<Merge>& merges, const Vocabulary& vocabulary,
                const Gpt2TokenizerOptions& options = {});
  ~Gpt2Tokenizer() override;

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override;
  std::string decode(std::span<const std::int64_t> ids) const override;
  std::int64_t vocab_size() const override;
  std::int64_t pad_id() const override;
  std::int64_t end_id() const override;

  /// Writes vocab.json, merges.txt and tokenizer_config.json.
  void save(const std::filesystem::path& folder) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
