#include "tokenizers/cleaned_tokenizer.hpp"

#include <algorithm>

#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "text/text_cleaning.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/tokenizer_config.hpp"
#include "tokenizers/word_piece_tokenizer.hpp"

namespace vlalign {
namespace {

std::string repair_label(std::string_view text) {
  auto repaired = repair_caption(text);
  std::replace(repaired.begin(), repaired.end(), '_', ' ');
  return collapse_spaces(to_utf32(repaired));
}

auto function_of(const std::string& cleaning) {
  if (cleaning == "whitespace") return repair_caption;
  if (cleaning == "lower") return clean_caption;
  if (cleaning == "whitespace_underscore") return repair_label;
  check(cleaning == "canonicalize",
        "cleaning: expected whitespace, whitespace_underscore, lower or canonicalize, got {}", cleaning);
  return canonicalize_caption;
}

}  // namespace

CleanedTokenizer::CleanedTokenizer(std::shared_ptr<const Tokenizer> tokenizer, const std::string& cleaning,
                                   bool strip_separator)
    : tokenizer_(std::move(tokenizer)),
      cleaning_(cleaning),
      strips_separator_(strip_separator),
      clean_(function_of(cleaning)) {
  check(!strips_separator_ || dynamic_cast<const WordPieceTokenizer*>(tokenizer_.get()),
        "strip_sep_token: this tokenizer has no separator token, as BertTokenizer has");
}

std::vector<std::int64_t> CleanedTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  auto ids = tokenizer_->encode(clean_(text), context_length);
  if (strips_separator_) std::replace(ids.begin(), ids.end(), tokenizer_->end_id(), std::int64_t{0});
  return ids;
}

void CleanedTokenizer::save(const std::filesystem::path& folder) const {
  tokenizer_->save(folder);
  const auto file = folder / tokenizer_config_file;
  auto config = parse_json(read_file(file), file.string());
  config[cleaning_key] = cleaning_;
  if (strips_separator_) config[strip_separator_key] = true;
  write_tokenizer_config(folder, config);
}

}  // namespace vlalign
