// The files that a tokenizer is read from.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tokenizers/added_token.hpp"
#include "tokenizers/load_tokenizer.hpp"
#include "tokenizers/tokenizer_json.hpp"

namespace vlalign {

constexpr auto open_clip_config_file = "open_clip_config.json";

/// A folder, or a tokenizer.json by itself.
struct TokenizerSource {
  std::filesystem::path folder;
  std::filesystem::path tokenizer_file = {};
  nlohmann::json config = nlohmann::json::object();    ///< tokenizer_config.json, empty where there is none
  nlohmann::json tokenizer = {};                       ///< tokenizer.json without its tables, null where there is none
  TokenizerJson tables = {};                           ///< and they
  bool open_clip = false;                              ///< whether open_clip's config decides about captions
  nlohmann::json text_cfg = nlohmann::json::object();  ///< its part of that config
};

TokenizerSource open_tokenizer_folder(const std::filesystem::path& folder, TokenizerPeer peer);
TokenizerSource open_tokenizer_json(const std::filesystem::path& file);

/// What is read of text_cfg.tokenizer_kwargs, of which a null says nothing.
nlohmann::json tokenizer_kwargs(const nlohmann::json& text_cfg);

bool has_file(const TokenizerSource& source, const char* name);

/// config.json's model_type; empty without one.
std::string model_type(const TokenizerSource& source);

/// The id that the vocabulary has for a text.
using FindId = std::function<std::optional<std::int64_t>(const std::string& text)>;

/// The added tokens of the folder, and the named special ones that are entries of the vocabulary.
std::vector<AddedToken> all_added_tokens(const TokenizerSource& source, const std::vector<std::string>& named,
                                         const FindId& find);

/// The names of tokenizer_config.json's extra_special_tokens, formerly additional_special_tokens; none where it has no
/// such key, empty where it has nothing under it.
std::optional<std::vector<std::string>> extra_special_tokens(const nlohmann::json& config);

/// Puts those that are no entries yet behind a vocabulary of `size` entries, as transformers does.
void append_missing(std::vector<AddedToken>& tokens, std::int64_t size, const std::vector<AddedToken>& wanted,
                    const FindId& find);

/// all_added_tokens() for a vocabulary, which gets those that it lacks.
std::vector<AddedToken> complete(const TokenizerSource& source, Vocabulary& vocabulary,
                                 const std::vector<std::string>& named);

}  // namespace vlalign
