#include "tokenizers/tokenizer_source.hpp"

#include <algorithm>
#include <array>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "core/naming.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What transformers goes by none of, in a folder that it reads.
void drop_own_keys(TokenizerSource& source) {
  const auto file = (source.folder / tokenizer_config_file).string();
  const auto named = naming(file, [&] { return special_token(source.config, cleaning_key, "none"); });
  if (named != "none" && named != "hugging_face")
    log_warning("{}: {} \"{}\" is a key that transformers doesn't know: captions are read as transformers reads them",
                file, cleaning_key, named);
  source.config.erase(cleaning_key);
  source.config.erase(strip_separator_key);
}

void check_kwargs(const json& text_cfg) {
  check(text_cfg.value("tokenizer_mode", json()).is_null() || text_cfg.at("tokenizer_mode") == "",
        "text_cfg.tokenizer_mode: not read here");
  constexpr std::array known{"clean", strip_separator_key, "language", "src_lang", "add_bos", "add_eos"};
  const auto kwargs = tokenizer_kwargs(text_cfg);
  for (const auto& [key, value] : kwargs.items()) {
    const bool is_known = std::find(known.begin(), known.end(), std::string_view(key)) != known.end();
    check(is_known || value.is_null() || value == "" || value == false,
          "text_cfg.tokenizer_kwargs.{}: not read here, {} are", key, fmt::join(known, ", "));
  }
}

void read_tokenizer_json(TokenizerSource& source) {
  const auto file = source.tokenizer_file.string();
  source.tables = parse_tokenizer_json(read_file(source.tokenizer_file), file);
  source.tokenizer = std::move(source.tables.rest);
  check(source.tokenizer.is_object(), "{}: expected an object, got {}", file, source.tokenizer.type_name());
}

// With the flags that tokenizer_config.json gives it.
AddedToken named_token(const json& config, const std::string& text, std::int64_t id) {
  for (const auto& [key, value] : config.items()) {
    if (value.is_object() && value.value("content", json()) == text) return parse_added_token(value, id);
  }
  return {.text = text, .id = id};
}

}  // namespace

json tokenizer_kwargs(const json& text_cfg) {
  auto kwargs = text_cfg.value("tokenizer_kwargs", json::object());
  if (kwargs.is_null()) return json::object();
  check(kwargs.is_object(), "text_cfg.tokenizer_kwargs: expected an object, got {}", kwargs.type_name());
  return kwargs;
}

TokenizerSource open_tokenizer_folder(const fs::path& folder, TokenizerPeer peer) {
  TokenizerSource source{.folder = folder, .tokenizer_file = folder / "tokenizer.json"};
  if (is_there(folder / tokenizer_config_file)) source.config = read_json_object(folder / tokenizer_config_file);
  if (is_there(source.tokenizer_file)) read_tokenizer_json(source);
  if (peer == TokenizerPeer::hugging_face) drop_own_keys(source);
  source.open_clip = peer == TokenizerPeer::open_clip;
  if (!source.open_clip) return source;
  const auto file = folder / open_clip_config_file;
  const auto config = read_json_object(file);
  naming(file.string(), [&] {
    source.text_cfg = config.value("model_cfg", config).value("text_cfg", json::object());
    check_kwargs(source.text_cfg);
  });
  return source;
}

TokenizerSource open_tokenizer_json(const fs::path& file) {
  TokenizerSource source{.folder = {}, .tokenizer_file = file};
  read_tokenizer_json(source);
  return source;
}

bool has_file(const TokenizerSource& source, const char* name) {
  return !source.folder.empty() && is_there(source.folder / name);
}

std::string model_type(const TokenizerSource& source) {
  if (!has_file(source, "config.json")) return {};
  const auto file = source.folder / "config.json";
  return naming(file.string(), [&] { return special_token(read_json_object(file), "model_type", ""); });
}

std::vector<AddedToken> all_added_tokens(const TokenizerSource& source, const std::vector<std::string>& named,
                                         const FindId& find) {
  auto tokens = read_added_tokens(source.config, source.tokenizer.is_null() ? json::object() : source.tokenizer);
  for (const auto& text : named) {
    const bool is_added = std::any_of(tokens.begin(), tokens.end(), [&](const auto& t) { return t.text == text; });
    if (is_added || text.empty()) continue;
    if (const auto id = find(text)) tokens.push_back(named_token(source.config, text, *id));
  }
  return tokens;
}

std::optional<std::vector<std::string>> extra_special_tokens(const json& config) {
  for (const auto* key : {"extra_special_tokens", "additional_special_tokens"}) {
    const auto found = config.find(key);
    if (found == config.end()) continue;
    std::vector<std::string> names;
    for (const auto& value : found->is_array() ? *found : json::array())
      names.push_back(parse_added_token(value, 0).text);
    return names;
  }
  return std::nullopt;
}

void append_missing(std::vector<AddedToken>& tokens, std::int64_t size, const std::vector<AddedToken>& wanted,
                    const FindId& find) {
  for (const auto& token : tokens) size = std::max(size, token.id + 1);
  for (auto token : wanted) {
    const bool is_added =
        std::any_of(tokens.begin(), tokens.end(), [&](const auto& t) { return t.text == token.text; });
    if (is_added || token.text.empty()) continue;
    const auto id = find(token.text);
    token.id = id ? *id : size++;
    tokens.push_back(token);
  }
}

std::vector<AddedToken> complete(const TokenizerSource& source, Vocabulary& vocabulary,
                                 const std::vector<std::string>& named) {
  auto tokens = all_added_tokens(source, named, [&](const std::string& text) -> std::optional<std::int64_t> {
    const auto entry = vocabulary.find(text);
    return entry == vocabulary.end() ? std::nullopt : std::optional(entry->second);
  });
  for (const auto& token : tokens) vocabulary.emplace(token.text, token.id);
  return tokens;
}

}  // namespace vlalign
