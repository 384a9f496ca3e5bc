// The parts of tokenizer_config.json and tokenizer.json that several tokenizers read and write.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/check.hpp"
#include "tokenizers/added_token.hpp"

namespace vlalign {

constexpr auto tokenizer_config_file = "tokenizer_config.json";

/// What is done to a caption first, in tokenizer_config.json: a key of ours, which transformers doesn't know and a
/// Hugging Face model's folder isn't read by. Without it load_tokenizer goes by the folder. ClipTokenizer's own: see
/// clip_cleaning_of(). All: none, or one of open_clip's whitespace,
/// whitespace_underscore, lower and canonicalize.
constexpr auto cleaning_key = "cleaning";
/// Whether 0 stands for the separator, as open_clip's tokenizer_kwargs say it.
constexpr auto strip_separator_key = "strip_sep_token";

/// Writes tokenizer_config.json; with cleaning none where the configuration doesn't say.
void write_tokenizer_config(const std::filesystem::path& folder, nlohmann::json config);

/// Takes the keys of ours out again: transformers' files say all that transformers does.
void remove_cleaning(const std::filesystem::path& folder);

/// The id of a special token, which the vocabulary must have.
template <typename Vocabulary>
std::int64_t id_of_token(const Vocabulary& vocabulary, const std::string& text) {
  const auto found = vocabulary.find(text);
  check(found != vocabulary.end(), "the vocabulary lacks the token '{}'", text);
  return found->second;
}

/// A whole number; throws Error for what isn't one.
std::int64_t parse_id(const nlohmann::json& value);

/// Writes the value in one line, or, where `indent` is given, readably. Throws Error naming the file, also for a text
/// in it that isn't UTF-8.
void write_json(const std::filesystem::path& file, const nlohmann::json& value, int indent = -1);

/// tokenizer_config.json's added_tokens_decoder.
nlohmann::json added_tokens_json(const std::vector<AddedToken>& tokens);

/// tokenizer.json's added_tokens, by id.
nlohmann::json added_tokens_list(std::vector<AddedToken> tokens);

/// The texts of added tokens that have ids behind those of a vocabulary's `size` entries. Throws Error for a gap.
std::vector<std::string> entries_behind(std::int64_t size, std::vector<AddedToken> tokens);

/// Its added_tokens_decoder, or else tokenizer.json's added_tokens; either may be an empty object.
std::vector<AddedToken> read_added_tokens(const nlohmann::json& config, const nlohmann::json& tokenizer);

/// A value of either's: an object with "content" and its flags, or a text.
AddedToken parse_added_token(const nlohmann::json& value, std::int64_t id);

/// The text of a special token such as "pad_token": a string, or an object with "content"; `fallback` where it is
/// missing or null.
std::string special_token(const nlohmann::json& config, const char* key, const std::string& fallback);

}  // namespace vlalign
