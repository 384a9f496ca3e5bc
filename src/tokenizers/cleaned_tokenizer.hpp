// open_clip's way with other libraries' tokenizers: it cleans the caption first, and may take the separator away.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

class CleanedTokenizer : public Tokenizer {
 public:
  /// cleaning: whitespace, whitespace_underscore, lower or canonicalize, open_clip's names; throws Error for another.
  /// strip_separator: 0 stands for BERT's [SEP], as open_clip's strip_sep_token has it for CLIPA; throws Error for a
  /// tokenizer without a separator.
  CleanedTokenizer(std::shared_ptr<const Tokenizer> tokenizer, const std::string& cleaning,
                   bool strip_separator = false);

  const std::shared_ptr<const Tokenizer>& cleaned() const { return tokenizer_; }
  const std::string& cleaning() const { return cleaning_; }
  bool strips_separator() const { return strips_separator_; }

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override;
  std::string decode(std::span<const std::int64_t> ids) const override { return tokenizer_->decode(ids); }
  std::int64_t vocab_size() const override { return tokenizer_->vocab_size(); }
  std::int64_t pad_id() const override { return tokenizer_->pad_id(); }
  std::int64_t end_id() const override { return strips_separator_ ? 0 : tokenizer_->end_id(); }
  /// With the cleaning in tokenizer_config.json, as load_tokenizer reads it.
  void save(const std::filesystem::path& folder) const override;

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string cleaning_;
  bool strips_separator_;
  std::string (*clean_)(std::string_view);
};

}  // namespace vlalign
