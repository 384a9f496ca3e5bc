#include "cleaned_tokenizer.hpp"

#include "core/files.hpp"
#include "core/parse_json.hpp"
#include "text_cleaning.hpp"
#include "tokenizer_config.hpp"

namespace vlalign {
namespace {

auto function_of(const std::string& cleaning) {
  if (cleaning == "whitespace") return repair_caption;
  if (cleaning == "lower") return clean_caption;
  check(cleaning == "canonicalize", "cleaning: expected whitespace, lower or canonicalize, got {}", cleaning);
  return canonicalize_caption;
}

}  // namespace

CleanedTokenizer::CleanedTokenizer(std::shared_ptr<const Tokenizer> tokenizer, const std::string& cleaning)
    : tokenizer_(std::move(tokenizer)), cleaning_(cleaning), clean_(function_of(cleaning)) {}

void CleanedTokenizer::save(const std::filesystem::path& folder) const {
  tokenizer_->save(folder);
  const auto file = folder / tokenizer_config_file;
  auto config = parse_json(read_file(file), file.string());
  config[cleaning_key] = cleaning_;
  write_tokenizer_config(folder, config);
}

}  // namespace vlalign
