#include "tokenizers/word_piece_tokenizer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/added_tokens.hpp"
#include "tokenizers/bert_text.hpp"
#include "tokenizers/text_ids.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

constexpr std::string_view continuation = "##";
constexpr std::size_t longest_word = 100;  // characters; longer ones are unknown

TextIds ids_of(const std::vector<std::string>& vocabulary) {
  TextIds ids;
  for (const auto& entry : vocabulary) {
    const auto [first, is_new] = ids.emplace(entry, static_cast<std::int64_t>(ids.size()));
    check(is_new, "entry {}: '{}' is entry {} already", ids.size() + 1, entry, first->second + 1);
  }
  return ids;
}

bool is_character_start(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

}  // namespace

struct WordPieceTokenizer::State {
  std::vector<std::string> entries;
  TextIds ids;
  WordPieceTokenizerOptions options;
  BertNormalization normalization;
  std::int64_t unknown_id, start_id, end_id, pad_id;
  AddedTokens added_tokens;

  State(std::vector<std::string> vocabulary, const WordPieceTokenizerOptions& how)
      : entries(std::move(vocabulary)),
        ids(ids_of(entries)),
        options(how),
        normalization{how.lower_case, how.strip_accents.value_or(how.lower_case), how.split_chinese_characters},
        unknown_id(id_of_token(ids, how.unknown_token)),
        start_id(id_of_token(ids, how.start_token)),
        end_id(id_of_token(ids, how.end_token)),
        pad_id(id_of_token(ids, how.pad_token)),
        added_tokens(how.added_tokens.empty() ? default_added_tokens() : how.added_tokens,
                     static_cast<std::int64_t>(entries.size())) {}

  std::vector<AddedToken> default_added_tokens() const {
    std::vector<AddedToken> tokens{{options.pad_token, pad_id},
                                   {options.unknown_token, unknown_id},
                                   {options.start_token, start_id},
                                   {options.end_token, end_id}};
    const auto mask = ids.find("[MASK]");
    if (mask != ids.end()) tokens.push_back({mask->first, mask->second});
    return tokens;
  }

  // The longest entry that `word` begins with, and its length without the "##".
  std::pair<std::int64_t, std::size_t> longest_piece(std::string_view word, bool continues) const {
    std::string piece(continues ? continuation : "");
    const auto prefix = piece.size();
    piece += word;
    for (auto length = word.size(); length > 0; --length) {
      if (length < word.size() && !is_character_start(word[length])) continue;
      const auto found = ids.find(std::string_view(piece).substr(0, prefix + length));
      if (found != ids.end()) return {found->second, length};
    }
    return {unknown_id, 0};
  }

  void append_word(std::string_view word, std::vector<std::int64_t>& result) const {
    const auto first = result.size();
    const auto characters = std::count_if(word.begin(), word.end(), is_character_start);
    bool is_known = static_cast<std::size_t>(characters) <= longest_word;
    for (std::size_t position = 0; is_known && position < word.size();) {
      const auto [id, length] = longest_piece(word.substr(position), position > 0);
      is_known = length > 0;
      position += length;
      result.push_back(id);
    }
    if (is_known) return;
    result.resize(first);
    result.push_back(unknown_id);
  }
};

WordPieceTokenizer::WordPieceTokenizer(std::vector<std::string> vocabulary, const WordPieceTokenizerOptions& options)
    : state_(std::make_unique<State>(std::move(vocabulary), options)) {}

WordPieceTokenizer::~WordPieceTokenizer() = default;

std::vector<std::int64_t> WordPieceTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[WordPieceTokenizer.encode] context_length: expected at least 1, got {}", context_length);
  const auto limit = static_cast<std::size_t>(context_length);
  std::vector<std::int64_t> ids{state_->start_id};
  const auto append_words = [&](std::string_view plain) {
    std::size_t position = 0;
    while (ids.size() < limit) {
      const auto word = next_bert_word(plain, position);
      if (word.empty()) break;
      state_->append_word(word, ids);
    }
  };
  state_->added_tokens.visit(
      text, [&](std::string_view plain) { return normalize_for_bert(plain, state_->normalization); }, append_words,
      [&](const AddedToken& token) { ids.push_back(token.id); });
  if (ids.size() >= limit) ids.resize(limit - 1);
  ids.push_back(state_->end_id);
  return ids;
}

std::string WordPieceTokenizer::decode(std::span<const std::int64_t> ids) const {
  std::string text;
  for (const auto id : ids) {
    check(id >= 0 && id < vocab_size(), "[WordPieceTokenizer.decode] ids: expected 0 to {}, got {}", vocab_size() - 1,
          id);
    if (state_->added_tokens.is_special(id)) continue;
    std::string_view entry = state_->entries[static_cast<std::size_t>(id)];
    if (entry.starts_with(continuation)) {
      entry.remove_prefix(continuation.size());
    } else if (!text.empty()) {
      text += ' ';
    }
    text += entry;
  }
  return to_utf8(to_utf32(text));
}

std::int64_t WordPieceTokenizer::vocab_size() const { return static_cast<std::int64_t>(state_->entries.size()); }
std::int64_t WordPieceTokenizer::pad_id() const { return state_->pad_id; }
std::int64_t WordPieceTokenizer::end_id() const { return state_->end_id; }

void WordPieceTokenizer::save(const std::filesystem::path& folder) const {
  const auto& options = state_->options;
  nlohmann::json config{
      {"tokenizer_class", "BertTokenizer"}, {"do_lower_case", options.lower_case},
      {"strip_accents", nullptr},           {"tokenize_chinese_chars", options.split_chinese_characters},
      {"unk_token", options.unknown_token}, {"cls_token", options.start_token},
      {"sep_token", options.end_token},     {"pad_token", options.pad_token}};
  if (options.strip_accents) config["strip_accents"] = *options.strip_accents;
  config["added_tokens_decoder"] = added_tokens_json(state_->added_tokens.all());
  std::string vocabulary;
  for (const auto& entry : state_->entries) vocabulary += entry + "\n";
  write_tokenizer_config(folder, config);
  write_file_atomically(folder / "vocab.txt", vocabulary);
}

}  // namespace vlalign
