#include "tokenizers/gemma_tokenizer.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/added_tokens.hpp"
#include "tokenizers/byte_level_bpe.hpp"
#include "tokenizers/gemma_files.hpp"
#include "tokenizers/hugging_face_text.hpp"
#include "tokenizers/merge_table.hpp"
#include "tokenizers/meta_space.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

std::string normalized(std::string_view text, bool lower_case) {
  auto characters = to_utf32(text);
  if (lower_case) characters = lower_each(characters);
  std::replace(characters.begin(), characters.end(), U' ', meta_space);
  return to_utf8(characters);
}

// A vocabulary's ids are its symbols.
MergeTable make_table(const std::vector<Merge>& merges, const Vocabulary& vocabulary) {
  MergeTable table(merges.size());
  const auto symbol = [&](const std::string& text) { return static_cast<Symbol>(id_of(vocabulary, text)); };
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const auto first = symbol(left), second = symbol(right);
    table.add(first, second, symbol(left + right), static_cast<std::uint32_t>(rank));
  }
  return table;
}

// Of <0x00> to <0xFF>.
std::array<Symbol, 256> byte_pieces(const Vocabulary& vocabulary) {
  std::array<Symbol, 256> symbols{};
  for (std::size_t byte = 0; byte < symbols.size(); ++byte) {
    symbols[byte] = static_cast<Symbol>(id_of_token(vocabulary, fmt::format("<0x{:02X}>", byte)));
  }
  return symbols;
}

// The vocabulary, and behind it those of the tokens that aren't in it.
std::vector<std::string> with_added(std::vector<std::string> entries, std::vector<AddedToken> tokens) {
  std::sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const auto& token : tokens) {
    const auto id = static_cast<std::size_t>(token.id);  // a negative one is too large
    if (id == entries.size()) entries.push_back(token.text);
    check(id < entries.size() && entries[id] == token.text,
          "added token '{}': the id {} is another entry's or leaves a gap behind the vocabulary", token.text, token.id);
  }
  return entries;
}

std::vector<AddedToken> default_added_tokens(const Vocabulary& vocabulary, const GemmaTokenizerOptions& options) {
  std::vector<AddedToken> tokens;
  for (const auto& text : {options.start_token, options.end_token, options.pad_token, options.unknown_token}) {
    if (const auto found = vocabulary.find(text); found != vocabulary.end())
      tokens.push_back({.text = text, .id = found->second});
  }
  return tokens;
}

GemmaTokenizerOptions with_added_tokens(GemmaTokenizerOptions options, const Vocabulary& vocabulary) {
  if (options.added_tokens.empty()) options.added_tokens = default_added_tokens(vocabulary, options);
  return options;
}

// The library normalizes these tokens as it does the text that it looks for them in.
std::vector<AddedToken> as_looked_for(const GemmaTokenizerOptions& options) {
  auto tokens = options.added_tokens;
  for (auto& token : tokens) {
    if (token.normalized) token.text = normalized(token.text, options.lower_case);
  }
  return tokens;
}

}  // namespace

struct GemmaTokenizer::State {
  std::vector<Merge> merges;
  GemmaTokenizerOptions options;
  std::size_t model_size;            // without the added tokens behind it
  std::vector<std::string> entries;  // of id
  MergeTable table;
  std::array<Symbol, 256> bytes;
  std::unordered_map<char32_t, Symbol> characters;  // the vocabulary's entries of one character
  AddedTokens added_tokens;
  std::int64_t start_id = 0, end_id, pad_id;

  State(const std::vector<Merge>& all_merges, const Vocabulary& vocabulary, const GemmaTokenizerOptions& how)
      : merges(all_merges),
        options(with_added_tokens(how, vocabulary)),
        model_size(vocabulary.size()),
        entries(with_added(entries_by_id(vocabulary), options.added_tokens)),
        table(make_table(merges, vocabulary)),
        bytes(byte_pieces(vocabulary)),
        added_tokens(as_looked_for(options), static_cast<std::int64_t>(entries.size())),
        end_id(id_of_entry(options.end_token)),
        pad_id(id_of_entry(options.pad_token)) {
    if (options.add_start_token) start_id = id_of_entry(options.start_token);
    for (const auto& [text, id] : vocabulary) {
      if (text.empty()) continue;
      const auto first = first_code_point(text);
      if (static_cast<std::size_t>(first.length) == text.size()) characters[first.value] = static_cast<Symbol>(id);
    }
  }

  std::int64_t id_of_entry(const std::string& text) const {
    const auto found = std::find(entries.begin(), entries.end(), text);
    check(found != entries.end(), "the vocabulary lacks the token '{}'", text);
    return found - entries.begin();
  }

  void append_text(std::string_view text, std::size_t limit, std::vector<std::int64_t>& ids) const {
    if (ids.size() >= limit) return;
    std::vector<Symbol> symbols;
    symbols.reserve(text.size());
    for (int length = 0; !text.empty(); text.remove_prefix(static_cast<std::size_t>(length))) {
      const auto first = first_code_point(text);
      length = first.length;
      if (const auto found = characters.find(first.value); found != characters.end()) {
        symbols.push_back(found->second);
      } else {
        for (const char c : text.substr(0, static_cast<std::size_t>(length))) {
          symbols.push_back(bytes[static_cast<unsigned char>(c)]);
        }
      }
    }
    table.merge(symbols, MergeOrder::lowest_first);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }

  // A piece's text, or the byte that it spells.
  std::string bytes_of(std::int64_t id) const {
    const auto byte = std::find(bytes.begin(), bytes.end(), static_cast<Symbol>(id));
    if (byte != bytes.end()) return std::string(1, static_cast<char>(byte - bytes.begin()));
    auto text = to_utf32(entries[static_cast<std::size_t>(id)]);
    std::replace(text.begin(), text.end(), meta_space, U' ');
    return to_utf8(text);
  }
};

GemmaTokenizer::GemmaTokenizer(const std::vector<Merge>& merges, const Vocabulary& vocabulary,
                               const GemmaTokenizerOptions& options)
    : state_(std::make_unique<State>(merges, vocabulary, options)) {}

GemmaTokenizer::~GemmaTokenizer() = default;

std::vector<std::int64_t> GemmaTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[GemmaTokenizer.encode] context_length: expected at least 1, got {}", context_length);
  const auto limit = static_cast<std::size_t>(context_length);
  std::vector<std::int64_t> ids;
  if (state_->options.add_start_token) ids.push_back(state_->start_id);
  state_->added_tokens.visit(
      to_utf8(to_utf32(text)), [&](std::string_view plain) { return normalized(plain, state_->options.lower_case); },
      [&](std::string_view plain) { state_->append_text(plain, limit, ids); },
      [&](const AddedToken& token) { ids.push_back(token.id); });
  if (ids.size() >= limit) ids.resize(limit - 1);
  ids.push_back(state_->end_id);
  return ids;
}

std::string GemmaTokenizer::decode(std::span<const std::int64_t> ids) const {
  std::string text;
  for (const auto id : ids) {
    check(id >= 0 && id < vocab_size(), "[GemmaTokenizer.decode] ids: expected 0 to {}, got {}", vocab_size() - 1, id);
    if (!state_->added_tokens.is_special(id)) text += state_->bytes_of(id);
  }
  return to_utf8(to_utf32(text));
}

std::int64_t GemmaTokenizer::vocab_size() const { return static_cast<std::int64_t>(state_->entries.size()); }
std::int64_t GemmaTokenizer::pad_id() const { return state_->pad_id; }
std::int64_t GemmaTokenizer::end_id() const { return state_->end_id; }

void GemmaTokenizer::save(const std::filesystem::path& folder) const {
  auto config = gemma_config_json(state_->options);
  config["added_tokens_decoder"] = added_tokens_json(state_->options.added_tokens);
  auto tokenizer = gemma_tokenizer_json(state_->options, state_->start_id, state_->end_id);
  tokenizer["added_tokens"] = added_tokens_list(state_->options.added_tokens);
  auto& model = tokenizer["model"];
  model["merges"] = state_->merges;
  for (std::size_t id = 0; id < state_->model_size; ++id) model["vocab"][state_->entries[id]] = id;
  write_tokenizer_config(folder, config);
  write_json(folder / "tokenizer.json", tokenizer);
}

}  // namespace vlalign
