#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizers/added_token.hpp"
#include "tokenizers/byte_level_bpe.hpp"
#include "tokenizers/piece_text.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

struct NllbTokenizerOptions {
  std::string language = "eng_Latn";  ///< of the captions: FLORES-200's code, which is an entry
  bool language_behind = false;       ///< behind the end token rather than in front: transformers' legacy_behaviour
  PieceTextOptions text = {.collapse_spaces = true, .split_white_space = false};
  std::string start_token = "<s>";  ///< of the vocabulary, never of a caption
  std::string end_token = "</s>";
  std::string pad_token = "<pad>";
  std::string unknown_token = "<unk>";
  std::string mask_token = {};                ///< none where it is empty
  std::vector<AddedToken> added_tokens = {};  ///< ids behind the vocabulary's, without a gap, are entries of their own
};

/// The byte-pair encoding of NLLB (Costa-jussa et al. 2022), whose vocabulary SentencePiece learned: characters are
/// merged by rank, and those that the vocabulary lacks become one unknown id. A caption's language comes first and the
/// end token last. Ids equal transformers' NllbTokenizer.
class NllbTokenizer : public Tokenizer {
 public:
  /// Throws Error when the vocabulary's ids aren't 0 to its size, each once, or it lacks a merge's side or result, the
  /// language or a special token.
  NllbTokenizer(const Vocabulary& vocabulary, const std::vector<Merge>& merges,
                const NllbTokenizerOptions& options = {});
  ~NllbTokenizer() override;

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

/// The merges that a vocabulary implies, by the ids of their results, as transformers reads a SentencePiece model's.
std::vector<Merge> merges_of_pieces(const std::vector<std::string>& pieces);

}  // namespace vlalign
