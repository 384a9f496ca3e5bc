#include "tokenizers/unigram_tokenizer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/dump_json.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/added_tokens.hpp"
#include "tokenizers/meta_space.hpp"
#include "tokenizers/template_processing.hpp"
#include "tokenizers/tokenizer_config.hpp"
#include "tokenizers/unigram_pieces.hpp"

namespace vlalign {

using nlohmann::json;

struct UnigramTokenizer::State {
  UnigramTokenizerOptions options;
  PieceText text;
  UnigramPieces pieces;
  std::vector<std::string> more_entries;  // added tokens behind the pieces
  AddedTokens added_tokens{{}, 0};
  std::int64_t start_id = -1, end_id = 0, pad_id = 0;

  State(const std::vector<ScoredPiece>& all_pieces, std::int64_t unknown_id, const UnigramTokenizerOptions& how)
      : options(how),
        text(how.text),
        pieces(all_pieces, unknown_id),
        more_entries(entries_behind(pieces.size(), how.added_tokens)) {
    for (auto& token : options.added_tokens) check_entry(token);
    added_tokens = AddedTokens(as_looked_for(), size());
    if (!options.start_token.empty()) start_id = id_of(options.start_token);
    end_id = id_of(options.end_token);
    pad_id = id_of(options.pad_token);
  }

  std::int64_t size() const { return pieces.size() + static_cast<std::int64_t>(more_entries.size()); }

  std::string_view entry(std::int64_t id) const {
    if (id < pieces.size()) return pieces.text(id);
    return more_entries[static_cast<std::size_t>(id - pieces.size())];
  }

  std::int64_t id_of(const std::string& token) const {
    if (const auto id = pieces.id_of(token); id >= 0) return id;
    const auto found = std::find(more_entries.begin(), more_entries.end(), token);
    check(found != more_entries.end(), "the vocabulary lacks the token '{}'", token);
    return pieces.size() + (found - more_entries.begin());
  }

  void check_entry(const AddedToken& token) const {
    check(token.id >= 0 && token.id < size() && entry(token.id) == token.text,
          "added token '{}': the id {} is another entry's or leaves a gap behind the vocabulary", token.text, token.id);
  }

  // The library normalizes these tokens as it does the text that it looks for them in.
  std::vector<AddedToken> as_looked_for() const {
    auto tokens = options.added_tokens;
    for (auto& token : tokens) {
      if (token.normalized) token.text = text.normalized(token.text);
    }
    return tokens;
  }

  void append_words(std::string_view normalized, std::size_t limit, std::vector<std::int64_t>& ids) const {
    const auto words = text.words(normalized);
    for (std::size_t position = 0; ids.size() < limit;) {
      const auto word = PieceText::next_word(words, position);
      if (word.empty()) break;
      pieces.append_word(word, ids);
    }
  }
};

UnigramTokenizer::UnigramTokenizer(const std::vector<ScoredPiece>& pieces, std::int64_t unknown_id,
                                   const UnigramTokenizerOptions& options)
    : state_(std::make_unique<State>(pieces, unknown_id, options)) {}

UnigramTokenizer::~UnigramTokenizer() = default;

std::vector<std::int64_t> UnigramTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[UnigramTokenizer.encode] context_length: expected at least 1, got {}", context_length);
  const auto limit = static_cast<std::size_t>(context_length);
  std::vector<std::int64_t> ids;
  if (state_->start_id >= 0) ids.push_back(state_->start_id);
  state_->added_tokens.visit(
      text, [&](std::string_view plain) { return state_->text.normalized(plain); },
      [&](std::string_view normalized) { state_->append_words(normalized, limit, ids); },
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
    if (!state_->added_tokens.is_special(id)) text += state_->entry(id);
  }
  auto characters = to_utf32(text);
  std::replace(characters.begin(), characters.end(), meta_space, U' ');
  if (characters.starts_with(U' ')) characters.erase(0, 1);
  return to_utf8(characters);
}

std::int64_t UnigramTokenizer::vocab_size() const { return state_->size(); }
std::int64_t UnigramTokenizer::pad_id() const { return state_->pad_id; }
std::int64_t UnigramTokenizer::end_id() const { return state_->end_id; }

// ---- Files ----

namespace {

json config_json(const UnigramTokenizerOptions& options) {
  json config{{"tokenizer_class", options.tokenizer_class},
              {"eos_token", options.end_token},
              {"pad_token", options.pad_token},
              {"unk_token", options.unknown_token},
              {"added_tokens_decoder", added_tokens_json(options.added_tokens)}};
  if (options.tokenizer_class == "T5Tokenizer") config["extra_ids"] = 0;  // those there are count as added tokens
  if (!options.start_token.empty()) {
    config["bos_token"] = config["cls_token"] = options.start_token;
    config["sep_token"] = options.end_token;
  }
  if (!options.mask_token.empty()) config["mask_token"] = options.mask_token;
  return config;
}

// Text, since a JSON value of the pieces would need several times their room.
std::string vocabulary_text(const UnigramPieces& pieces, const std::string& where) {
  std::string text = "[";
  for (std::int64_t id = 0; id < pieces.size(); ++id) {
    const auto piece = dump_json(json(pieces.text(id)), -1, where);
    text += fmt::format("{}[{},{}]", id == 0 ? "" : ",", piece, json(pieces.score(id)).dump());
  }
  return text + "]";
}

}  // namespace

void UnigramTokenizer::save(const std::filesystem::path& folder) const {
  const auto& options = state_->options;
  CaptionEnds ends{.after = {{options.end_token, state_->end_id}}};
  if (state_->start_id >= 0) ends.before = {{options.start_token, state_->start_id}};
  const json tokenizer{{"version", "1.0"},
                       {"truncation", nullptr},
                       {"padding", nullptr},
                       {"added_tokens", added_tokens_list(options.added_tokens)},
                       {"normalizer", normalizer_json(options.text)},
                       {"pre_tokenizer", pre_tokenizer_json(options.text)},
                       {"post_processor", template_json(ends)},
                       {"decoder", meta_space_json()}};
  const auto file = folder / "tokenizer.json";
  auto text = dump_json(tokenizer, -1, file.string());
  text.pop_back();
  text += fmt::format(R"(,"model":{{"type":"Unigram","unk_id":{},"byte_fallback":false,"vocab":{}}}}})",
                      state_->pieces.unknown_id(), vocabulary_text(state_->pieces, file.string()));
  write_tokenizer_config(folder, config_json(options));
  write_file_atomically(file, text);
}

}  // namespace vlalign
