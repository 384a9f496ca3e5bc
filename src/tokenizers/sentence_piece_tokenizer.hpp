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

struct SentencePieceTokenizerOptions {
  bool lower_case = true;
  std::string unknown_token = "<unk>";
  std::string end_token = "</s>";
  std::string pad_token = "</s>";
  /// By default the three above, which take the white space around them along.
  std::vector<AddedToken> added_tokens = {};
};

/// A SentencePiece model (Kudo and Richardson 2018) with SigLIP's rules: captions lose ASCII's punctuation and their
/// case. Ids equal transformers' SiglipTokenizer, with the end token behind them. Needs vlalign to be built with
/// libsentencepiece-dev.
class SentencePieceTokenizer : public Tokenizer {
 public:
  /// `model`: the bytes of a spiece.model. Throws Error when they aren't one, a special token is missing, or vlalign
  /// was built without SentencePiece.
  explicit SentencePieceTokenizer(const std::string& model, const SentencePieceTokenizerOptions& options = {});
  ~SentencePieceTokenizer() override;

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override;
  std::string decode(std::span<const std::int64_t> ids) const override;
  std::int64_t vocab_size() const override;
  std::int64_t pad_id() const override;
  std::int64_t end_id() const override;

  /// Writes spiece.model and tokenizer_config.json.
  void save(const std::filesystem::path& folder) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
