#include "tokenizers/gpt2_tokenizer.hpp"

#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/added_tokens.hpp"
#include "tokenizers/byte_level_bpe.hpp"
#include "tokenizers/hugging_face_words.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {

struct Gpt2Tokenizer::State {
  ByteLevelBpe bpe;
  Gpt2TokenizerOptions options;
  std::int64_t start_id = -1;  // none
  std::int64_t end_id;
  std::int64_t pad_id;
  AddedTokens added_tokens{{}, 0};

  State(const std::vector<Merge>& merges, const Vocabulary& vocabulary, const Gpt2TokenizerOptions& how)
      : bpe(merges, vocabulary, WordEnd::unmarked),
        options(how),
        end_id(id_of_token(vocabulary, how.end_token)),
        pad_id(how.pad_id.value_or(end_id)) {
    if (has_start()) start_id = id_of_token(vocabulary, how.start_token);
    if (options.added_tokens.empty()) {
      options.added_tokens = {{how.end_token, end_id}};
      if (has_start()) options.added_tokens.push_back({how.start_token, start_id});
    }
    added_tokens = AddedTokens(options.added_tokens, bpe.size());
    check(pad_id >= 0 && pad_id < bpe.size(), "the pad token's id is {}; the vocabulary's go from 0 to {}", pad_id,
          bpe.size() - 1);
  }

  bool has_start() const { return !options.start_token.empty(); }

  std::string prepared(std::string_view text) const {
    auto valid = to_utf8(to_utf32(text));
    if (options.add_prefix_space && !valid.starts_with(' ')) valid.insert(valid.begin(), ' ');
    return valid;
  }
};

Gpt2Tokenizer::Gpt2Tokenizer(const std::vector<Merge>& merges, const Vocabulary& vocabulary,
                             const Gpt2TokenizerOptions& options)
    : state_(std::make_unique<State>(merges, vocabulary, options)) {}

Gpt2Tokenizer::~Gpt2Tokenizer() = default;

std::vector<std::int64_t> Gpt2Tokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[Gpt2Tokenizer.encode] context_length: expected at least 1, got {}", context_length);
  const auto limit = static_cast<std::size_t>(context_length);
  std::vector<std::int64_t> ids;
  if (state_->has_start()) ids.push_back(state_->start_id);
  const auto append_words = [&](std::string_view plain) {
    for (std::size_t position = 0; position < plain.size() && ids.size() < limit;) {
      state_->bpe.append_word(next_gpt2_word(plain, position), ids);
    }
  };
  state_->added_tokens.visit(
      text, [&](std::string_view plain) { return state_->prepared(plain); }, append_words,
      [&](const AddedToken& token) { ids.push_back(token.id); });
  if (ids.size() >= limit) ids.resize(limit - 1);
  ids.push_back(state_->end_id);
  return ids;
}

std::string Gpt2Tokenizer::decode(std::span<const std::int64_t> ids) const {
  std::string bytes;
  for (const auto id : ids) {
    check(id >= 0 && id < vocab_size(), "[Gpt2Tokenizer.decode] ids: expected 0 to {}, got {}", vocab_size() - 1, id);
    if (!state_->added_tokens.is_special(id)) bytes += state_->bpe.bytes_of(id);
  }
  return to_utf8(to_utf32(bytes));
}

std::int64_t Gpt2Tokenizer::vocab_size() const { return state_->bpe.size(); }
std::int64_t Gpt2Tokenizer::pad_id() const { return state_->pad_id; }
std::int64_t Gpt2Tokenizer::end_id() const { return state_->end_id; }

void Gpt2Tokenizer::save(const std::filesystem::path& folder) const {
  const auto& options = state_->options;
  const auto& end = options.end_token;
  const auto& start = state_->has_start() ? options.start_token : end;
  nlohmann::json config{{"tokenizer_class", state_->has_start() ? "RobertaTokenizer" : "GPT2Tokenizer"},
                        {"bos_token", start},
                        {"eos_token", end},
                        {"unk_token", options.unknown_token.empty() ? end : options.unknown_token}};
  if (state_->has_start()) {
    config["cls_token"] = start;
    config["sep_token"] = end;
  }
  if (state_->has_start() || state_->pad_id != state_->end_id) config["pad_token"] = state_->bpe.entry(state_->pad_id);
  if (!options.mask_token.empty()) config["mask_token"] = options.mask_token;
  if (options.add_prefix_space) config["add_prefix_space"] = true;
  config["added_tokens_decoder"] = added_tokens_json(options.added_tokens);
  write_tokenizer_config(folder, config);
  state_->bpe.save(folder);
}

}  // namespace vlalign
