#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

/// The bytes of each token of a tiktoken vocabulary, by rank; empty where a rank stands for none.
using TokenRanks = std::vector<std::string>;

struct TiktokenOptions {
  std::string encoding = "cl100k_base";  ///< r50k_base, gpt2, p50k_base or cl100k_base
  bool add_start = true;                 ///< the start token in front
  bool add_end = true;                   ///< the end token behind, and last where a text is cut
};

/// Byte-level BPE as the library tiktoken has it: a word that is a token is one, otherwise the neighbours that make the
/// token of lowest rank are merged first. Ids equal open_clip's TikTokenTokenizer: behind the encoding's own ids come
/// the end token, padding and the start token, in this order.
class TiktokenTokenizer : public Tokenizer {
 public:
  /// Throws Error for another encoding, a token that is there twice and a byte without one.
  explicit TiktokenTokenizer(TokenRanks tokens, const TiktokenOptions& options = {});
  ~TiktokenTokenizer() override;

  const TiktokenOptions& options() const;

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override;
  std::string decode(std::span<const std::int64_t> ids) const override;
  std::int64_t vocab_size() const override;
  std::int64_t pad_id() const override;
  std::int64_t end_id() const override;

  /// Writes ENCODING.tiktoken and tokenizer_config.json.
  void save(const std::filesystem::path& folder) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads a .tiktoken file: a token's bytes in base64, a space and its rank, one a line. Throws Error naming the line.
TokenRanks read_tiktoken(const std::filesystem::path& file);

/// Whether it is one of those above.
bool is_tiktoken_encoding(std::string_view name);

}  // namespace vlalign
