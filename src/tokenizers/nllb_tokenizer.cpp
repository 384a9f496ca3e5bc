#include "tokenizers/nllb_tokenizer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/check.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/added_tokens.hpp"
#include "tokenizers/merge_table.hpp"
#include "tokenizers/meta_space.hpp"
#include "tokenizers/template_processing.hpp"
#include "tokenizers/text_ids.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

// The vocabulary and its merges.
struct NllbPieces {
  std::vector<std::string> entries;  // the vocabulary's, and behind them added tokens'
  std::size_t model_size;            // of the vocabulary alone
  std::vector<std::pair<Symbol, Symbol>> merges;
  MergeTable table;                                 // a vocabulary's ids are its symbols
  std::unordered_map<char32_t, Symbol> characters;  // the vocabulary's entries of one character

  NllbPieces(const Vocabulary& vocabulary, const std::vector<Merge>& all_merges, const std::vector<AddedToken>& added)
      : entries(entries_by_id(vocabulary)), model_size(entries.size()), table(all_merges.size()) {
    merges.reserve(all_merges.size());
    const auto symbol = [&](const std::string& text) { return static_cast<Symbol>(vlalign::id_of(vocabulary, text)); };
    for (const auto& [left, right] : all_merges) {
      merges.emplace_back(symbol(left), symbol(right));
      table.add(merges.back().first, merges.back().second, symbol(left + right),
                static_cast<std::uint32_t>(merges.size() - 1));
    }
    for (const auto& [text, id] : vocabulary) {
      if (text.empty()) continue;
      const auto first = first_code_point(text);
      if (static_cast<std::size_t>(first.length) == text.size()) characters[first.value] = static_cast<Symbol>(id);
    }
    for (auto& text : entries_behind(static_cast<std::int64_t>(model_size), added)) entries.push_back(std::move(text));
    for (const auto& token : added) {
      check(token.id >= 0 && token.id < size() && entries[static_cast<std::size_t>(token.id)] == token.text,
            "added token '{}': the id {} is another entry's", token.text, token.id);
    }
  }

  std::int64_t size() const { return static_cast<std::int64_t>(entries.size()); }

  std::int64_t id_of(const std::string& token) const {
    const auto found = std::find(entries.begin(), entries.end(), token);
    check(found != entries.end(), "the vocabulary lacks the token '{}'", token);
    return found - entries.begin();
  }

  void append_word(std::string_view word, Symbol unknown, std::vector<std::int64_t>& ids) const {
    thread_local std::vector<Symbol> symbols;
    symbols.clear();
    bool after_unknown = false;
    while (!word.empty()) {
      const auto first = first_code_point(word);
      const auto found = characters.find(first.value);
      const bool is_unknown = found == characters.end();
      if (!is_unknown || !after_unknown) symbols.push_back(is_unknown ? unknown : found->second);
      after_unknown = is_unknown;
      word.remove_prefix(static_cast<std::size_t>(first.length));
    }
    table.merge(symbols, MergeOrder::lowest_first);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }
};

// The library normalizes these tokens as it does the text that it looks for them in.
std::vector<AddedToken> nllb_as_looked_for(std::vector<AddedToken> tokens, const PieceText& text) {
  for (auto& token : tokens) {
    if (token.normalized) token.text = text.normalized(token.text);
  }
  return tokens;
}

}  // namespace

struct NllbTokenizer::State {
  NllbPieces pieces;
  NllbTokenizerOptions options;
  PieceText text;
  AddedTokens added_tokens;
  std::int64_t language_id, end_id, pad_id;
  Symbol unknown;

  State(const Vocabulary& vocabulary, const std::vector<Merge>& merges, const NllbTokenizerOptions& how)
      : pieces(vocabulary, merges, how.added_tokens),
        options(how),
        text(how.text),
        added_tokens(nllb_as_looked_for(how.added_tokens, text), pieces.size()),
        language_id(pieces.id_of(how.language)),
        end_id(pieces.id_of(how.end_token)),
        pad_id(pieces.id_of(how.pad_token)),
        unknown(static_cast<Symbol>(pieces.id_of(how.unknown_token))) {}
};

NllbTokenizer::NllbTokenizer(const Vocabulary& vocabulary, const std::vector<Merge>& merges,
                             const NllbTokenizerOptions& options)
    : state_(std::make_unique<State>(vocabulary, merges, options)) {}

NllbTokenizer::~NllbTokenizer() = default;

std::vector<std::int64_t> NllbTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[NllbTokenizer.encode] context_length: expected at least 1, got {}", context_length);
  const auto limit = static_cast<std::size_t>(context_length) - 1;
  std::vector<std::int64_t> ids{state_->language_id};
  const auto append_words = [&](std::string_view normalized) {
    const auto words = state_->text.words(normalized);
    for (std::size_t position = 0; ids.size() < limit;) {
      const auto word = PieceText::next_word(words, position);
      if (word.empty()) break;
      state_->pieces.append_word(word, state_->unknown, ids);
    }
  };
  state_->added_tokens.visit(
      text, [&](std::string_view plain) { return state_->text.normalized(plain); }, append_words,
      [&](const AddedToken& token) { ids.push_back(token.id); });
  if (ids.size() > limit) ids.resize(limit);
  ids.push_back(state_->end_id);
  if (state_->options.language_behind) std::rotate(ids.begin(), ids.begin() + 1, ids.end());
  return ids;
}

std::string NllbTokenizer::decode(std::span<const std::int64_t> ids) const {
  std::string text;
  for (const auto id : ids) {
    check(id >= 0 && id < vocab_size(), "[NllbTokenizer.decode] ids: expected 0 to {}, got {}", vocab_size() - 1, id);
    if (!state_->added_tokens.is_special(id)) text += state_->pieces.entries[static_cast<std::size_t>(id)];
  }
  auto characters = to_utf32(text);
  std::replace(characters.begin(), characters.end(), meta_space, U' ');
  if (characters.starts_with(U' ')) characters.erase(0, 1);
  return to_utf8(characters);
}

std::int64_t NllbTokenizer::vocab_size() const { return state_->pieces.size(); }
std::int64_t NllbTokenizer::pad_id() const { return state_->pad_id; }
std::int64_t NllbTokenizer::end_id() const { return state_->end_id; }

// ---- Files ----

namespace {

json nllb_config_json(const NllbTokenizerOptions& options) {
  json config{{"tokenizer_class", "NllbTokenizer"},
              {"src_lang", options.language},
              {"legacy_behaviour", options.language_behind},
              {"bos_token", options.start_token},
              {"cls_token", options.start_token},
              {"eos_token", options.end_token},
              {"sep_token", options.end_token},
              {"pad_token", options.pad_token},
              {"unk_token", options.unknown_token},
              {"extra_special_tokens", json::array()},
              {"added_tokens_decoder", added_tokens_json(options.added_tokens)}};
  if (!options.mask_token.empty()) config["mask_token"] = options.mask_token;
  return config;
}

CaptionEnds nllb_ends(const NllbTokenizerOptions& options, std::int64_t language_id, std::int64_t end_id) {
  const TokenText language{options.language, language_id}, end{options.end_token, end_id};
  if (options.language_behind) return {.after = {end, language}};
  return {{language}, {end}};
}

}  // namespace

void NllbTokenizer::save(const std::filesystem::path& folder) const {
  const auto& [pieces, options, text, added, language_id, end_id, pad_id, unknown] = *state_;
  json model{{"type", "BPE"},
             {"dropout", nullptr},
             {"unk_token", options.unknown_token},
             {"continuing_subword_prefix", nullptr},
             {"end_of_word_suffix", nullptr},
             {"fuse_unk", true},
             {"byte_fallback", false},
             {"ignore_merges", false}};
  auto& vocabulary = model["vocab"] = json::object();
  for (std::size_t id = 0; id < pieces.model_size; ++id) vocabulary[pieces.entries[id]] = id;
  auto& merges = model["merges"] = json::array();
  for (const auto& [left, right] : pieces.merges) merges.push_back({pieces.entries[left], pieces.entries[right]});
  const json tokenizer{{"version", "1.0"},
                       {"truncation", nullptr},
                       {"padding", nullptr},
                       {"added_tokens", added_tokens_list(options.added_tokens)},
                       {"normalizer", normalizer_json(options.text)},
                       {"pre_tokenizer", pre_tokenizer_json(options.text)},
                       {"post_processor", template_json(nllb_ends(options, language_id, end_id))},
                       {"decoder", meta_space_json()},
                       {"model", std::move(model)}};
  write_tokenizer_config(folder, nllb_config_json(options));
  write_json(folder / "tokenizer.json", tokenizer);
}

// ---- SentencePiece's model ----

std::vector<Merge> merges_of_pieces(const std::vector<std::string>& pieces) {
  TextIds ids;
  for (const auto& piece : pieces) ids.emplace(piece, static_cast<std::int64_t>(ids.size()));
  std::vector<Merge> merges;
  for (const std::string_view piece : pieces) {  // the shorter the left side, the sooner
    for (std::size_t cut = 1; cut < piece.size(); ++cut) {
      const bool splits_character = (static_cast<unsigned char>(piece[cut]) & 0xC0) == 0x80;
      const auto left = piece.substr(0, cut), right = piece.substr(cut);
      if (!splits_character && ids.contains(left) && ids.contains(right)) merges.emplace_back(left, right);
    }
  }
  return merges;
}

}  // namespace vlalign
