#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizers/added_token.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

struct UnigramTokenizerOptions {
  std::string end_token = "</s>";
  std::string pad_token = "<pad>";
  std::vector<AddedToken> added_tokens = {};  ///< by default those of the tokenizer.json
};

/// The unigram language model (Kudo 2018) of a tokenizer.json, as open_clip's folders of SigLIP have it: each word
/// becomes the pieces of the highest total score. Ids equal transformers' T5Tokenizer, with the end token behind them.
class UnigramTokenizer : public Tokenizer {
 public:
  /// `tokenizer_json`: the text of such a file. Throws Error when its model isn't Unigram, its normalizer does more
  /// than SentencePiece's character map, or the end or pad token is missing.
  explicit UnigramTokenizer(const std::string& tokenizer_json, const UnigramTokenizerOptions& options = {});
  ~UnigramTokenizer() override;

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
