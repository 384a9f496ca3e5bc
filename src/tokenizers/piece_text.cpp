#include "tokenizers/piece_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base64.hpp"
#include "core/check.hpp"
#include "core/json/python_json.hpp"
#include "core/utf8.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/hugging_face_text.hpp"
#include "tokenizers/meta_space.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

void collapse(std::string& text) {
  text.erase(std::unique(text.begin(), text.end(), [](char a, char b) { return a == ' ' && b == ' '; }), text.end());
}

void strip(std::string& text, bool left, bool right) {
  auto characters = to_utf32(text);
  const auto is_text = [](char32_t c) { return !is_white_space(c); };
  if (right) characters.erase(std::find_if(characters.rbegin(), characters.rend(), is_text).base(), characters.end());
  if (left) characters.erase(characters.begin(), std::find_if(characters.begin(), characters.end(), is_text));
  text = to_utf8(characters);
}

std::string split_at_white_space(std::string_view text) {
  std::string words;
  words.reserve(text.size() + text.size() / 2);
  bool is_after_space = true;
  while (!text.empty()) {
    const auto [c, length, valid] = first_code_point(text);
    const bool is_space = is_white_space(c);
    if (is_after_space && !is_space && c != meta_space) words += meta_space_text;
    if (!is_space) words += text.substr(0, static_cast<std::size_t>(length));
    is_after_space = is_space;
    text.remove_prefix(static_cast<std::size_t>(length));
  }
  return words;
}

std::string with_meta_spaces(std::string_view text) {
  if (text.empty()) return {};
  std::string words(text.starts_with(' ') || text.starts_with(meta_space_text) ? "" : meta_space_text);
  words.reserve(text.size() + text.size() / 2);
  for (const char c : text) c == ' ' ? words.append(meta_space_text) : words.append(1, c);
  return words;
}

}  // namespace

PieceText::PieceText(const PieceTextOptions& options) : options_(options), map_(options.character_map) {}

std::string PieceText::normalized(std::string_view text) const {
  auto result = map_.apply(as_utf8(text));
  if (options_.strip_left || options_.strip_right) strip(result, options_.strip_left, options_.strip_right);
  if (options_.collapse_spaces) collapse(result);
  return result;
}

std::string PieceText::words(std::string_view normalized) const {
  return options_.split_white_space ? split_at_white_space(normalized) : with_meta_spaces(normalized);
}

std::string_view PieceText::next_word(std::string_view words, std::size_t& position) {
  if (position >= words.size()) return {};
  const auto end = std::min(words.find(meta_space_text, position + 1), words.size());
  const auto word = words.substr(position, end - position);
  position = end;
  return word;
}

// ---- tokenizer.json ----

namespace {

std::string map_bytes(const json& normalizer) {
  const auto& map = normalizer.at("precompiled_charsmap");
  return map.is_null() ? "" : decode_base64(map.get<std::string>(), "precompiled_charsmap");
}

void read_normalizer(const json& normalizer, PieceTextOptions& options) {
  if (normalizer.is_null()) return;
  const auto type = normalizer.at("type").get<std::string>();
  if (type == "Sequence") {
    for (const auto& part : normalizer.at("normalizers")) read_normalizer(part, options);
  } else if (type == "Precompiled") {
    options.character_map = map_bytes(normalizer);
  } else if (type == "Strip") {
    options.strip_left = normalizer.value("strip_left", true);
    options.strip_right = normalizer.value("strip_right", true);
  } else {
    check(type == "Replace" && normalizer.at("pattern") == json{{"Regex", " {2,}"}},
          "normalizer: expected Precompiled, Strip, and Replace of \" {{2,}}\", got {}", shown(normalizer));
    options.collapse_spaces = true;
  }
}

bool is_meta_space(const json& part) {
  return part.is_object() && part.value("type", "") == "Metaspace" &&
         part.value("replacement", std::string(meta_space_text)) == meta_space_text &&
         part.value("prepend_scheme", part.value("add_prefix_space", true) ? "always" : "never") == "always" &&
         part.value("split", true);
}

}  // namespace

PieceTextOptions read_piece_text(const json& normalizer, const json& pre_tokenizer) {
  PieceTextOptions options;
  read_normalizer(normalizer, options);
  const bool is_sequence = pre_tokenizer.is_object() && pre_tokenizer.value("type", "") == "Sequence";
  const auto parts = is_sequence ? pre_tokenizer.at("pretokenizers") : json::array({pre_tokenizer});
  options.split_white_space = parts.size() == 2 && parts[0].value("type", "") == "WhitespaceSplit";
  check(!parts.empty() && parts.size() == (options.split_white_space ? 2 : 1) && is_meta_space(parts.back()),
        "pre_tokenizer: expected Metaspace, which prepends always and splits, with or without WhitespaceSplit before "
        "it, got {}",
        shown(pre_tokenizer));
  return options;
}

std::string character_map_of(const json& normalizer) {
  if (normalizer.is_null()) return {};
  const bool is_sequence = normalizer.at("type") == "Sequence";
  for (const auto& part : is_sequence ? normalizer.at("normalizers") : json::array({normalizer})) {
    if (part.at("type") == "Precompiled") return map_bytes(part);
  }
  return {};
}

json normalizer_json(const PieceTextOptions& options) {
  auto parts = json::array();
  if (!options.character_map.empty())
    parts.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", encode_base64(options.character_map)}});
  if (options.strip_left || options.strip_right)
    parts.push_back({{"type", "Strip"}, {"strip_left", options.strip_left}, {"strip_right", options.strip_right}});
  if (options.collapse_spaces)
    parts.push_back({{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}});
  if (parts.empty()) return nullptr;
  return parts.size() == 1 ? parts[0] : json{{"type", "Sequence"}, {"normalizers", parts}};
}

json meta_space_json() {
  return {{"type", "Metaspace"}, {"replacement", meta_space_text}, {"prepend_scheme", "always"}, {"split", true}};
}

json pre_tokenizer_json(const PieceTextOptions& options) {
  if (!options.split_white_space) return meta_space_json();
  return {{"type", "Sequence"}, {"pretokenizers", {{{"type", "WhitespaceSplit"}}, meta_space_json()}}};
}

}  // namespace vlalign
