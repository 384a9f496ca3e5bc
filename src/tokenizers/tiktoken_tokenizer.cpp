#include "tokenizers/tiktoken_tokenizer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/base64.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/naming.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/hugging_face_words.hpp"
#include "tokenizers/merge_table.hpp"
#include "tokenizers/text_ids.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

using NextWord = std::string_view (*)(std::string_view text, std::size_t& position);

struct Encoding {
  std::string_view name;
  NextWord next_word;
  std::int64_t special_ids;  // behind the last rank
};

constexpr Encoding encodings[] = {{"r50k_base", next_gpt2_word, 1},        // <|endoftext|>
                                  {"gpt2", next_gpt2_word, 1},             // the same
                                  {"p50k_base", next_gpt2_word, 0},        // its <|endoftext|> is between the ranks
                                  {"cl100k_base", next_cl100k_word, 21}};  // the last is <|endofprompt|>, 100276

const Encoding& encoding_named(std::string_view name) {
  const auto* found = std::find_if(std::begin(encodings), std::end(encodings),
                                   [&](const auto& encoding) { return encoding.name == name; });
  check(found != std::end(encodings), "tiktoken_name: r50k_base, gpt2, p50k_base and cl100k_base are read here, got {}",
        name);
  return *found;
}

}  // namespace

bool is_tiktoken_encoding(std::string_view name) {
  return std::any_of(std::begin(encodings), std::end(encodings), [&](const auto& known) { return known.name == name; });
}

struct TiktokenTokenizer::State {
  TokenRanks tokens;
  TiktokenOptions options;
  Encoding encoding;
  TextIds ranks;
  std::array<Symbol, 256> bytes{};
  MergeTable table{0};
  std::int64_t end_id, pad_id, start_id;

  State(TokenRanks all, const TiktokenOptions& how)
      : tokens(std::move(all)),
        options(how),
        encoding(encoding_named(how.encoding)),
        end_id(static_cast<std::int64_t>(tokens.size()) + encoding.special_ids),
        pad_id(end_id + 1),
        start_id(end_id + 2) {
    for (std::size_t rank = 0; rank < tokens.size(); ++rank) {
      if (tokens[rank].empty()) continue;
      const auto [first, is_new] = ranks.emplace(tokens[rank], static_cast<std::int64_t>(rank));
      check(is_new, "the ranks {} and {} are the same token", first->second, rank);
    }
    for (std::size_t byte = 0; byte < bytes.size(); ++byte) {
      const auto found = ranks.find(std::string_view(std::string(1, static_cast<char>(byte))));
      check(found != ranks.end(), "the byte 0x{:02X} has no token", byte);
      bytes[byte] = static_cast<Symbol>(found->second);
    }
    fill_table();
  }

  // Any two tokens that are a third one side by side.
  void fill_table() {
    struct Pair {
      Symbol left, right, merged;
    };
    std::vector<Pair> pairs;
    for (const auto& [text, rank] : ranks) {
      const std::string_view token = text;
      for (std::size_t cut = 1; cut < token.size(); ++cut) {
        const auto left = ranks.find(token.substr(0, cut)), right = ranks.find(token.substr(cut));
        if (left != ranks.end() && right != ranks.end())
          pairs.push_back(
              {static_cast<Symbol>(left->second), static_cast<Symbol>(right->second), static_cast<Symbol>(rank)});
      }
    }
    table = MergeTable(pairs.size());
    for (const auto& pair : pairs) table.add(pair.left, pair.right, pair.merged, pair.merged);
  }

  void append_word(std::string_view word, std::vector<std::int64_t>& ids) const {
    if (const auto found = ranks.find(word); found != ranks.end()) {
      ids.push_back(found->second);
      return;
    }
    thread_local std::vector<Symbol> symbols;
    symbols.clear();
    for (const char c : word) symbols.push_back(bytes[static_cast<unsigned char>(c)]);
    table.merge(symbols, MergeOrder::lowest_first);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
  }
};

TiktokenTokenizer::TiktokenTokenizer(TokenRanks tokens, const TiktokenOptions& options)
    : state_(std::make_unique<State>(std::move(tokens), options)) {}

TiktokenTokenizer::~TiktokenTokenizer() = default;

const TiktokenOptions& TiktokenTokenizer::options() const { return state_->options; }

std::vector<std::int64_t> TiktokenTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[TiktokenTokenizer.encode] context_length: expected at least 1, got {}", context_length);
  const auto limit = static_cast<std::size_t>(context_length);
  const auto valid = as_utf8(text);
  std::vector<std::int64_t> ids;
  if (state_->options.add_start) ids.push_back(state_->start_id);
  for (std::size_t position = 0; position < valid.size() && ids.size() <= limit;) {
    state_->append_word(state_->encoding.next_word(valid, position), ids);
  }
  if (state_->options.add_end) ids.push_back(state_->end_id);
  if (ids.size() > limit) {
    ids.resize(limit);
    if (state_->options.add_end) ids.back() = state_->end_id;
  }
  return ids;
}

std::string TiktokenTokenizer::decode(std::span<const std::int64_t> ids) const {
  std::string bytes;
  for (const auto id : ids) {
    check(id >= 0 && id < vocab_size(), "[TiktokenTokenizer.decode] ids: expected 0 to {}, got {}", vocab_size() - 1,
          id);
    const auto rank = static_cast<std::size_t>(id);
    if (rank < state_->tokens.size()) bytes += state_->tokens[rank];
  }
  return as_utf8(bytes);
}

std::int64_t TiktokenTokenizer::vocab_size() const { return state_->start_id + 1; }
std::int64_t TiktokenTokenizer::pad_id() const { return state_->pad_id; }
std::int64_t TiktokenTokenizer::end_id() const { return state_->end_id; }

void TiktokenTokenizer::save(const std::filesystem::path& folder) const {
  std::string text;
  for (std::size_t rank = 0; rank < state_->tokens.size(); ++rank) {
    if (!state_->tokens[rank].empty()) text += fmt::format("{} {}\n", encode_base64(state_->tokens[rank]), rank);
  }
  const auto& options = state_->options;
  write_tokenizer_config(folder, {{"tokenizer_class", "TikTokenTokenizer"},
                                  {"tiktoken_name", options.encoding},
                                  {"add_bos", options.add_start},
                                  {"add_eos", options.add_end}});
  write_file_atomically(folder / (options.encoding + ".tiktoken"), text);
}

// ---- The file ----

namespace {

std::pair<std::string, std::size_t> parse_token(std::string_view line) {
  const auto space = line.find(' ');
  check(space != line.npos, "expected a token in base64, a space and its rank, got '{}'", line.substr(0, 80));
  const auto number = line.substr(space + 1);
  constexpr std::size_t most = 1 << 24;
  std::size_t rank = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), rank);
  check(error == std::errc() && end == number.data() + number.size() && rank < most,
        "expected a rank below {}, got '{}'", most, number.substr(0, 80));
  auto token = decode_base64(line.substr(0, space), "the token");
  check(!token.empty(), "the token is empty");
  return {std::move(token), rank};
}

}  // namespace

TokenRanks read_tiktoken(const std::filesystem::path& file) {
  const auto text = read_file(file);
  std::string_view rest = text;
  TokenRanks tokens;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    naming(fmt::format("{}: line {}", file.string(), number), [&] {
      auto [token, rank] = parse_token(line);
      if (rank >= tokens.size()) tokens.resize(rank + 1);
      check(tokens[rank].empty(), "the rank {} is another token's already", rank);
      tokens[rank] = std::move(token);
    });
  }
  return tokens;
}

}  // namespace vlalign
