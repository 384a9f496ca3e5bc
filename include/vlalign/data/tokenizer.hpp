#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// Turns text into token ids. Implementations are immutable and safe to use from several threads.
class Tokenizer {
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

  /// Writes the files that load_tokenizer reads back (for CLIP's: vocab.json and merges.txt, as Hugging Face names
  /// them).
  virtual void save(const std::filesystem::path& folder) const = 0;
};

/// Reads bpe_simple_vocab_16e6.txt.gz, a tokenizer.json, or a folder with tokenizer.json or vocab.json + merges.txt.
/// Throws Error naming the file and the fault.
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path);

/// A batch of captions as one tensor, cut to the longest of them: with end-token pooling and a causal mask the
/// embeddings are the same as at the full context length, and most of the padding's work is gone.
/// Returns int64 [B, L], L <= context_length, padded with pad_id.
at::Tensor tokenize(const Tokenizer& tokenizer, std::span<const std::string> captions, std::int64_t context_length);

}  // namespace vlalign
