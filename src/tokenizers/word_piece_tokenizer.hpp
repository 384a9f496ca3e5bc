#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizers/added_token.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

struct WordPieceTokenizerOptions {
  bool lower_case = true;
  std::optional<bool> strip_accents = {};  ///< by default as lower_case
  bool split_chinese_characters = true;    ///< each is a word of its own
  std::string unknown_token = "[UNK]";
  std::string start_token = "[CLS]";
  std::string end_token = "[SEP]";
  std::string pad_token = "[PAD]";
  std::vector<AddedToken> added_tokens = {};  ///< by default the four above, and [MASK] where the vocabulary has it
};

/// BERT's WordPiece (Devlin et al. 2019): text is cleaned of control characters, optionally lower-cased and stripped of
/// accents, split at white space and punctuation; each word becomes the longest entries that cover it from the left,
/// all but the first with "##" before them, or [UNK]. Ids equal transformers' BertTokenizer: [CLS] ... [SEP].
class WordPieceTokenizer : public Tokenizer {
 public:
  /// The id of an entry is its place. Throws Error when an entry is there twice or a special token is missing.
  explicit WordPieceTokenizer(std::vector<std::string> vocabulary, const WordPieceTokenizerOptions& options = {});
  ~WordPieceTokenizer() override;

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override;
  std::string decode(std::span<const std::int64_t> ids) const override;
  std::int64_t vocab_size() const override;
  std::int64_t pad_id() const override;
  std::int64_t end_id() const override;

  /// Writes vocab.txt and tokenizer_config.json.
  void save(const std::filesystem::path& folder) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
