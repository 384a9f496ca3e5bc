#include "tokenizers/clip_tokenizer.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/check.hpp"
#include "text/text_cleaning.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/added_tokens.hpp"
#include "tokenizers/byte_level_bpe.hpp"
#include "tokenizers/clip_cleaning.hpp"
#include "tokenizers/clip_words.hpp"
#include "tokenizers/hugging_face_text.hpp"
#include "tokenizers/hugging_face_words.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

// No objects: a tokenizer may be made before main() begins.
constexpr auto hugging_face_start = "<|startoftext|>";
constexpr auto hugging_face_end = "<|endoftext|>";

Vocabulary vocabulary_in_clip_order(const std::vector<std::string>& texts) {
  Vocabulary vocabulary;
  for (const auto& text : texts) vocabulary.emplace(text, static_cast<std::int64_t>(vocabulary.size()));
  for (const auto& special : {hugging_face_start, hugging_face_end}) {
    vocabulary.emplace(special, static_cast<std::int64_t>(vocabulary.size()));
  }
  return vocabulary;
}

// The special tokens under Hugging Face's names.
Vocabulary renamed(Vocabulary vocabulary) {
  const auto rename = [&](const std::string& name, std::string_view other_name) {
    if (vocabulary.contains(name)) return;
    auto entry = vocabulary.extract(std::string(other_name));
    check(!entry.empty(), "the vocabulary lacks '{}' (or '{}')", name, other_name);
    entry.key() = name;
    vocabulary.insert(std::move(entry));
  };
  rename(hugging_face_start, start_text);
  rename(hugging_face_end, end_text);
  return vocabulary;
}

// What tokenizer_config.json calls them; in the order of the enumeration.
constexpr std::array cleaning_names{"open_clip", "open_clip_whitespace", "open_clip_canonicalize", "hugging_face"};

std::string clean(std::string_view caption, ClipCleaning cleaning) {
  if (cleaning == ClipCleaning::open_clip_whitespace) return repair_caption(caption);
  return cleaning == ClipCleaning::open_clip ? clean_caption(caption) : canonicalize_caption(caption);
}

std::int64_t usual_pad(ClipCleaning cleaning, std::int64_t end_id) {
  return cleaning == ClipCleaning::hugging_face ? end_id : 0;
}

std::string normalize(std::string_view text) { return to_utf8(lower_each(normalize_nfc_of_unicode_9(to_utf32(text)))); }

}  // namespace

std::optional<ClipCleaning> clip_cleaning_of(std::string_view name) {
  const auto found = std::find(cleaning_names.begin(), cleaning_names.end(), name);
  if (found == cleaning_names.end()) return std::nullopt;
  return static_cast<ClipCleaning>(found - cleaning_names.begin());
}

ClipCleaning open_clip_cleaning_of(std::string_view clean) {
  if (clean == "lower") return ClipCleaning::open_clip;
  if (clean == "whitespace") return ClipCleaning::open_clip_whitespace;
  check(clean == "canonicalize", "clean: expected whitespace, lower or canonicalize, got {}", clean);
  return ClipCleaning::open_clip_canonicalize;
}

struct ClipTokenizer::State {
  ByteLevelBpe bpe;
  std::int64_t start_id;
  std::int64_t end_id;
  ClipCleaning cleaning;
  std::int64_t pad_id;
  AddedTokens added_tokens;

  State(const std::vector<Merge>& merges, BpeSymbols symbols, const Vocabulary& vocabulary,
        const ClipTokenizerOptions& options)
      : bpe(merges, std::move(symbols), vocabulary, WordEnd::marked),
        start_id(vocabulary.at(hugging_face_start)),
        end_id(vocabulary.at(hugging_face_end)),
        cleaning(options.cleaning),
        pad_id(options.pad_id.value_or(usual_pad(cleaning, end_id))),
        added_tokens(options.added_tokens.empty()
                         ? std::vector<AddedToken>{{hugging_face_start, start_id}, {hugging_face_end, end_id}}
                         : options.added_tokens,
                     bpe.size()) {
    check_pad();
  }

  void check_pad() const {
    check(pad_id >= 0 && pad_id < bpe.size(), "the pad token's id is {}; the vocabulary's go from 0 to {}", pad_id,
          bpe.size() - 1);
  }

  // transformers looks for a pad token in a caption as it does for the others.
  void look_for_pad() {
    auto tokens = added_tokens.all();
    const bool known = std::any_of(tokens.begin(), tokens.end(), [&](const auto& token) { return token.id == pad_id; });
    if (known) return;
    tokens.push_back({bpe.entry(pad_id), pad_id});
    added_tokens = AddedTokens(std::move(tokens), bpe.size());
  }

  void append_as_open_clip(std::string_view text, std::size_t limit, std::vector<std::int64_t>& ids) const {
    const auto caption = clean(text, cleaning);
    std::size_t position = 0;
    while (ids.size() < limit) {
      const auto word = next_word(caption, position);
      if (word.empty()) break;
      if (word == start_text) {
        ids.push_back(start_id);
      } else if (word == end_text) {
        ids.push_back(end_id);
      } else {
        bpe.append_word(word, ids);
      }
    }
  }

  void append_as_hugging_face(std::string_view text, std::size_t limit, std::vector<std::int64_t>& ids) const {
    const auto append_words = [&](std::string_view plain) {
      std::size_t position = 0;
      while (ids.size() < limit) {
        const auto word = next_clip_word(plain, position);
        if (word.empty()) break;
        // the pipeline has GPT-2's pattern behind CLIP's, which splits no word but the special tokens in capitals
        for (std::size_t at = 0; at < word.size();) bpe.append_word(next_gpt2_word(word, at), ids);
      }
    };
    added_tokens.visit(text, normalize, append_words, [&](const AddedToken& token) { ids.push_back(token.id); });
  }
};

ClipTokenizer::ClipTokenizer(const std::vector<Merge>& merges, const ClipTokenizerOptions& options) {
  auto symbols = make_symbols(merges, WordEnd::marked);
  const auto vocabulary = vocabulary_in_clip_order(symbols.texts);
  state_ = std::make_unique<State>(merges, std::move(symbols), vocabulary, options);
}

ClipTokenizer::ClipTokenizer(const std::vector<Merge>& merges, const Vocabulary& vocabulary,
                             const ClipTokenizerOptions& options)
    : state_(std::make_unique<State>(merges, make_symbols(merges, WordEnd::marked), renamed(vocabulary), options)) {}

ClipTokenizer::ClipTokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}

ClipTokenizer::~ClipTokenizer() = default;

ClipCleaning ClipTokenizer::cleaning() const { return state_->cleaning; }

std::shared_ptr<const ClipTokenizer> ClipTokenizer::with_cleaning(ClipCleaning cleaning,
                                                                  std::optional<std::int64_t> pad_id) const {
  auto state = std::make_unique<State>(*state_);
  state->cleaning = cleaning;
  state->pad_id = pad_id.value_or(usual_pad(cleaning, state->end_id));
  state->check_pad();
  if (cleaning == ClipCleaning::hugging_face) state->look_for_pad();
  return std::shared_ptr<const ClipTokenizer>(new ClipTokenizer(std::move(state)));
}

std::vector<std::int64_t> ClipTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[ClipTokenizer.encode] context_length: expected at least 1, got {}", context_length);
  const auto limit = static_cast<std::size_t>(context_length);
  std::vector<std::int64_t> ids{state_->start_id};
  if (state_->cleaning == ClipCleaning::hugging_face) {
    state_->append_as_hugging_face(text, limit, ids);
  } else {
    state_->append_as_open_clip(text, limit, ids);
  }
  if (ids.size() >= limit) ids.resize(limit - 1);
  ids.push_back(state_->end_id);
  return ids;
}

std::string ClipTokenizer::decode(std::span<const std::int64_t> ids) const {
  std::string bytes;
  for (const auto id : ids) {
    check(id >= 0 && id < vocab_size(), "[ClipTokenizer.decode] ids: expected 0 to {}, got {}", vocab_size() - 1, id);
    if (id == state_->end_id) break;  // padding follows
    if (id != state_->start_id) bytes += state_->bpe.bytes_of(id);
  }
  if (bytes.ends_with(' ')) bytes.pop_back();
  return to_utf8(to_utf32(bytes));
}

std::int64_t ClipTokenizer::vocab_size() const { return state_->bpe.size(); }
std::int64_t ClipTokenizer::pad_id() const { return state_->pad_id; }
std::int64_t ClipTokenizer::end_id() const { return state_->end_id; }

void ClipTokenizer::save(const std::filesystem::path& folder) const {
  nlohmann::json config{{"tokenizer_class", "CLIPTokenizer"},
                        {"bos_token", hugging_face_start},
                        {"eos_token", hugging_face_end},
                        {"unk_token", hugging_face_end}};
  const bool open_clip = state_->cleaning != ClipCleaning::hugging_face;
  config[cleaning_key] = cleaning_names[static_cast<std::size_t>(state_->cleaning)];
  if (!open_clip || state_->pad_id != 0) config["pad_token"] = state_->bpe.entry(state_->pad_id);
  config["added_tokens_decoder"] = added_tokens_json(state_->added_tokens.all());
  write_tokenizer_config(folder, config);
  state_->bpe.save(folder);
}

}  // namespace vlalign
