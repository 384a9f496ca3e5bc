#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizers/added_token.hpp"
#include "tokenizers/piece_text.hpp"
#include "tokenizers/tokenizer_json.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

struct UnigramTokenizerOptions {
  std::string tokenizer_class = "T5Tokenizer";  ///< transformers' that gives the same ids
  PieceTextOptions text = {};
  std::string start_token = {};  ///< none where it is empty, as for T5
  std::string end_token = "</s>";
  std::string pad_token = "<pad>";
  std::string unknown_token = "<unk>";
  std::string mask_token = {};                ///< none where it is empty
  std::vector<AddedToken> added_tokens = {};  ///< ids behind the pieces', without a gap, are entries of their own
};

/// The unigram language model (Kudo 2018) of a tokenizer.json or a SentencePiece model: each word becomes the pieces of
/// the highest total score. Ids equal those of transformers' T5Tokenizer (T5, mT5, SigLIP) and, with a start token,
/// XLMRobertaTokenizer (XLM-RoBERTa, XLM-V).
class UnigramTokenizer : public Tokenizer {
 public:
  /// The id of a piece is its place. Throws Error when a piece is there twice, unknown_id is none of them, the text's
  /// character map isn't one, or a special token is missing.
  UnigramTokenizer(const std::vector<ScoredPiece>& pieces, std::int64_t unknown_id,
                   const UnigramTokenizerOptions& options = {});
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
