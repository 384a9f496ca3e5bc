// open_clip's way with other libraries' tokenizers: it cleans the caption first.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "vlalign/data/tokenizer.hpp"

namespace vlalign {

class CleanedTokenizer : public Tokenizer {
 public:
  /// cleaning: whitespace, lower or canonicalize, open_clip's names; throws Error for another.
  CleanedTokenizer(std::shared_ptr<const Tokenizer> tokenizer, const std::string& cleaning);

  const std::string& cleaning() const { return cleaning_; }

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override {
    return tokenizer_->encode(clean_(text), context_length);
  }
  std::string decode(std::span<const std::int64_t> ids) const override { return tokenizer_->decode(ids); }
  std::int64_t vocab_size() const override { return tokenizer_->vocab_size(); }
  std::int64_t pad_id() const override { return tokenizer_->pad_id(); }
  std::int64_t end_id() const override { return tokenizer_->end_id(); }
  /// With the cleaning in tokenizer_config.json, as load_tokenizer reads it.
  void save(const std::filesystem::path& folder) const override;

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string cleaning_;
  std::string (*clean_)(std::string_view);
};

}  // namespace vlalign
