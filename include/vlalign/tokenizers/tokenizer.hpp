#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// Turns text into token ids. Implementations are immutable and safe to use from several threads.
class VLALIGN_EXPORT Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// The ids of a text, start and end tokens included, cut to `context_length` with the end token kept last.
  /// Invalid UTF-8 is replaced by U+FFFD, never an error.
  virtual std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const = 0;

  /// The text of ids, special tokens left out; for people to read, not always the text that went in.
  virtual std::string decode(std::span<const std::int64_t> ids) const = 0;

  virtual std::int64_t vocab_size() const = 0;
  virtual std::int64_t pad_id() const = 0;
  virtual std::int64_t end_id() const = 0;

  /// Writes the files that load_tokenizer and transformers' AutoTokenizer read back, among them tokenizer_config.json.
  virtual void save(const std::filesystem::path& folder) const = 0;
};

/// Reads the tokenizer of a folder that transformers or open_clip wrote: CLIP's, GPT-2's and RoBERTa's (tokenizer.json,
/// or vocab.json and merges.txt), BERT's (tokenizer.json or vocab.txt), SigLIP's (spiece.model, or a tokenizer.json
/// with a Unigram model), T5's and mT5's (tokenizer.json or spiece.model), XLM-RoBERTa's, XLM-V's and NLLB's
/// (tokenizer.json or sentencepiece.bpe.model), SigLIP 2's (tokenizer.json), and tiktoken's (ENCODING.tiktoken, here or
/// in the shared folder). tokenizer_config.json says which; without it the files do. Beside an open_clip_config.json
/// captions are cleaned as open_clip cleans them, otherwise as transformers does. Also reads one file: tokenizer.json,
/// vocab.txt, spiece.model, sentencepiece.bpe.model, ENCODING.tiktoken or CLIP's merges (bpe_simple_vocab_16e6.txt.gz),
/// the last with open_clip's cleaning. Throws Error naming the file and the fault, and for another tokenizer its name.
VLALIGN_EXPORT std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path);

/// Learns a vocabulary of at most `vocab_size` entries from captions (byte-pair encoding, Sennrich et al. 2016, on
/// CLIP's words and bytes), so that a model can be trained from scratch in any language.
/// Ties between equally frequent pairs are broken by the pairs' text: the same captions give the same vocabulary.
/// Throws Error when vocab_size < 514 (the bytes, twice, and the two special tokens).
VLALIGN_EXPORT std::shared_ptr<const Tokenizer> train_tokenizer(std::span<const std::string> captions,
                                                                std::int64_t vocab_size);

/// A batch of captions as one tensor, cut to the longest of them: with end-token pooling and a causal mask the
/// embeddings are the same as at the full context length, and most of the padding's work is gone.
/// Returns int64 [B, L], L <= context_length, padded with pad_id.
VLALIGN_EXPORT at::Tensor tokenize(const Tokenizer& tokenizer, std::span<const std::string> captions,
                                   std::int64_t context_length);

}  // namespace vlalign
