// open_clip's way with other libraries' tokenizers: it cleans the caption first.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "vlalign/data/tokenizer.hpp"

namespace vlalign {

class CleanedTokenizer : public Tokenizer {
 public:
  using Clean = std::function<std::string(std::string_view)>;
  CleanedTokenizer(std::shared_ptr<const Tokenizer> tokenizer, Clean clean)
      : tokenizer_(std::move(tokenizer)), clean_(std::move(clean)) {}

  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override {
    return tokenizer_->encode(clean_(text), context_length);
  }
  std::string decode(std::span<const std::int64_t> ids) const override { return tokenizer_->decode(ids); }
  std::int64_t vocab_size() const override { return tokenizer_->vocab_size(); }
  std::int64_t pad_id() const override { return tokenizer_->pad_id(); }
  std::int64_t end_id() const override { return tokenizer_->end_id(); }
  void save(const std::filesystem::path& folder) const override { tokenizer_->save(folder); }

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  Clean clean_;
};

}  // namespace vlalign
