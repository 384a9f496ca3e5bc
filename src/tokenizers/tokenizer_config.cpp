#include "tokenizers/tokenizer_config.hpp"

#include <algorithm>
#include <charconv>

#include "core/io/files.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/parse_json.hpp"
#include "core/json/python_json.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

json added_token_json(const AddedToken& token) {
  return {{"content", token.text},          {"lstrip", token.strip_left}, {"rstrip", token.strip_right},
          {"normalized", token.normalized}, {"special", token.special},   {"single_word", false}};
}

std::int64_t parse_id_text(const std::string& text) {
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  check(error == std::errc() && end == text.data() + text.size(), "added_tokens_decoder: expected an id, got '{}'",
        text);
  return id;
}

}  // namespace

void write_tokenizer_config(const std::filesystem::path& folder, json config) {
  if (!config.contains(cleaning_key)) config[cleaning_key] = "none";
  write_json(folder / tokenizer_config_file, config, 2);
}

void remove_cleaning(const std::filesystem::path& folder) {
  const auto file = folder / tokenizer_config_file;
  if (!is_there(file)) return;
  auto config = parse_json(read_file(file), file.string());
  if (config.erase(cleaning_key) + config.erase(strip_separator_key) > 0) write_json(file, config, 2);
}

std::int64_t parse_id(const json& value) {
  check(value.is_number_integer(), "expected an id, a whole number, got {}", shown(value));
  return value.get<std::int64_t>();
}

void write_json(const std::filesystem::path& file, const json& value, int indent) {
  const auto text = dump_json(value, indent, file.string());
  write_file_atomically(file, indent < 0 ? text : text + "\n");
}

json added_tokens_json(const std::vector<AddedToken>& tokens) {
  auto decoder = json::object();
  for (const auto& token : tokens) {
    decoder[std::to_string(token.id)] = added_token_json(token);
  }
  return decoder;
}

json added_tokens_list(std::vector<AddedToken> tokens) {
  std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  auto list = json::array();
  for (const auto& token : tokens) {
    list.push_back(added_token_json(token));
    list.back()["id"] = token.id;
  }
  return list;
}

std::vector<std::string> entries_behind(std::int64_t size, std::vector<AddedToken> tokens) {
  std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  std::vector<std::string> entries;
  for (const auto& token : tokens) {
    const auto next = size + static_cast<std::int64_t>(entries.size());
    if (token.id < next) continue;
    check(token.id == next, "added token '{}': the id {} is another entry's or leaves a gap behind the vocabulary",
          token.text, token.id);
    entries.push_back(token.text);
  }
  return entries;
}

AddedToken parse_added_token(const json& value, std::int64_t id) {
  if (value.is_string()) return {.text = value, .id = id};
  check(!value.value("single_word", false), "added token '{}': single_word is not read here",
        value.at("content").get<std::string>());
  return {.text = value.at("content"),
          .id = id,
          .strip_left = value.value("lstrip", false),
          .strip_right = value.value("rstrip", false),
          .normalized = value.value("normalized", false),
          .special = value.value("special", true)};
}

std::vector<AddedToken> read_added_tokens(const json& config, const json& tokenizer) {
  std::vector<AddedToken> tokens;
  if (const auto decoder = config.find("added_tokens_decoder"); decoder != config.end()) {
    for (const auto& [id, object] : decoder->items()) tokens.push_back(parse_added_token(object, parse_id_text(id)));
  } else if (const auto list = tokenizer.find("added_tokens"); list != tokenizer.end()) {
    for (const auto& object : *list) tokens.push_back(parse_added_token(object, parse_id(object.at("id"))));
  }
  return tokens;
}

std::string special_token(const json& config, const char* key, const std::string& fallback) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return fallback;
  return found->is_object() ? found->at("content").get<std::string>() : found->get<std::string>();
}

}  // namespace vlalign
