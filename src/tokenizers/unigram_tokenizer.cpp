#include "tokenizers/unigram_tokenizer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base64.hpp"
#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/added_tokens.hpp"
#include "tokenizers/character_map.hpp"
#include "tokenizers/hugging_face_text.hpp"
#include "tokenizers/meta_space.hpp"
#include "tokenizers/tokenizer_config.hpp"
#include "tokenizers/unigram_pieces.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

// Of the normalizers, Strip and Replace collapse spaces, which splitting into words does too.
CharacterMap read_character_map(const json& normalizer) {
  if (normalizer.is_null()) return {};
  const auto type = normalizer.at("type").get<std::string>();
  if (type == "Precompiled") {
    return CharacterMap(
        decode_base64(normalizer.at("precompiled_charsmap").get<std::string>(), "precompiled_charsmap"));
  }
  CharacterMap map;
  if (type == "Strip" || type == "Replace") return map;
  check(type == "Sequence", "normalizer: expected Precompiled, got {}", type);
  for (const auto& part : normalizer.at("normalizers")) {
    if (part.at("type") == "Precompiled") {
      map = read_character_map(part);
    } else {
      read_character_map(part);
    }
  }
  return map;
}

UnigramPieces read_pieces(const json& model) {
  const auto type = model.value("type", "Unigram");
  check(type == "Unigram", "model.type: expected Unigram, got {}", type);
  check(!model.value("byte_fallback", false), "model.byte_fallback: not read here for Unigram");
  return {model.at("vocab").get<std::vector<std::pair<std::string, double>>>(), parse_id(model.at("unk_id"))};
}

}  // namespace

struct UnigramTokenizer::State {
  std::string source;
  UnigramTokenizerOptions options;
  UnigramPieces pieces;
  CharacterMap character_map;
  AddedTokens added_tokens;
  std::int64_t end_id, pad_id;

  State(const std::string& text, const json& tokenizer, const UnigramTokenizerOptions& how)
      : source(text),
        options(how),
        pieces(read_pieces(tokenizer.at("model"))),
        character_map(read_character_map(tokenizer.value("normalizer", json()))),
        added_tokens(how.added_tokens.empty() ? read_added_tokens(json::object(), tokenizer) : how.added_tokens,
                     pieces.size()),
        end_id(id_of_token(pieces.ids(), how.end_token)),
        pad_id(id_of_token(pieces.ids(), how.pad_token)) {}

  // Words with SentencePiece's space before each.
  std::string spaced_words(std::string_view text) const {
    std::string words;
    bool is_after_space = true;
    for (const char32_t c : to_utf32(character_map.apply(to_utf8(to_utf32(text))))) {
      const bool is_space = is_white_space(c);
      if (is_after_space && !is_space && c != meta_space) words += meta_space_text;
      is_after_space = is_space;
      if (!is_space) append_utf8(words, c);
    }
    return words;
  }

  void append_words(std::string_view words, std::size_t limit, std::vector<std::int64_t>& ids) const {
    while (!words.empty() && ids.size() < limit) {
      const auto word = words.substr(0, words.find(meta_space_text, meta_space_text.size()));
      pieces.append_word(word, ids);
      words.remove_prefix(word.size());
    }
  }
};

UnigramTokenizer::UnigramTokenizer(const std::string& tokenizer_json, const UnigramTokenizerOptions& options)
    : state_(without_foreign_errors("tokenizer.json", [&] {
        return std::make_unique<State>(tokenizer_json, parse_json(tokenizer_json, "tokenizer.json"), options);
      })) {}

UnigramTokenizer::~UnigramTokenizer() = default;

std::vector<std::int64_t> UnigramTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[UnigramTokenizer.encode] context_length: expected at least 1, got {}", context_length);
  const auto limit = static_cast<std::size_t>(context_length);
  std::vector<std::int64_t> ids;
  state_->added_tokens.visit(
      text, [&](std::string_view plain) { return state_->spaced_words(plain); },
      [&](std::string_view words) { state_->append_words(words, limit, ids); },
      [&](const AddedToken& token) { ids.push_back(token.id); });
  if (ids.size() >= limit) ids.resize(limit - 1);
  ids.push_back(state_->end_id);
  return ids;
}

std::string UnigramTokenizer::decode(std::span<const std::int64_t> ids) const {
  std::string text;
  for (const auto id : ids) {
    check(id >= 0 && id < vocab_size(), "[UnigramTokenizer.decode] ids: expected 0 to {}, got {}", vocab_size() - 1,
          id);
    if (!state_->added_tokens.is_special(id)) text += state_->pieces.text(id);
  }
  auto characters = to_utf32(text);
  std::replace(characters.begin(), characters.end(), meta_space, U' ');
  if (characters.starts_with(U' ')) characters.erase(0, 1);
  return to_utf8(characters);
}

std::int64_t UnigramTokenizer::vocab_size() const { return state_->pieces.size(); }
std::int64_t UnigramTokenizer::pad_id() const { return state_->pad_id; }
std::int64_t UnigramTokenizer::end_id() const { return state_->end_id; }

void UnigramTokenizer::save(const std::filesystem::path& folder) const {
  const json config{{"tokenizer_class", "T5Tokenizer"},
                    {"extra_ids", 0},
                    {"eos_token", state_->options.end_token},
                    {"pad_token", state_->options.pad_token},
                    {"added_tokens_decoder", added_tokens_json(state_->added_tokens.all())}};
  write_tokenizer_config(folder, config);
  write_file_atomically(folder / "tokenizer.json", state_->source);
}

}  // namespace vlalign
