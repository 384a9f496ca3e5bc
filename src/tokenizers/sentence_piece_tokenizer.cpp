#include "tokenizers/sentence_piece_tokenizer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/loadable_module.hpp"
#include "text/text_cleaning.hpp"
#include "text/unicode_text.hpp"
#include "tokenizers/added_tokens.hpp"
#include "tokenizers/meta_space.hpp"
#include "tokenizers/piece_model_file.hpp"
#include "tokenizers/sentencepiece/piece_model.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

std::unique_ptr<const PieceModel> open_model(const std::string& bytes) {
  static const auto open = reinterpret_cast<OpenPieceModel>(load_module(
      "sentencepiece", "vlalign_open_piece_model", ModuleNames::own_first,
      "a SentencePiece model, which this vlalign was built without: install libsentencepiece-dev and build it again"));
  check_piece_model(bytes);
  return std::unique_ptr<const PieceModel>(open(bytes));
}

}  // namespace

struct SentencePieceTokenizer::State {
  std::string bytes;
  SentencePieceTokenizerOptions options;
  std::unique_ptr<const PieceModel> model;
  std::int64_t end_id, pad_id;
  AddedTokens added_tokens{{}, 0};
  std::size_t unknown_pieces = 0;  // that the unknown token's text is cut into

  State(const std::string& file, const SentencePieceTokenizerOptions& how)
      : bytes(file), options(how), model(open_model(bytes)) {
    end_id = id_of(options.end_token);
    pad_id = id_of(options.pad_token);
    added_tokens =
        AddedTokens(options.added_tokens.empty() ? default_added_tokens() : options.added_tokens, model->size());
    unknown_pieces = pieces_of(options.unknown_token).size();
  }

  std::int64_t id_of(const std::string& piece) const {
    check(model->has(piece), "the model lacks the piece '{}'", piece);
    return model->id_of(piece);
  }

  std::vector<AddedToken> default_added_tokens() const {
    std::vector<AddedToken> tokens;
    for (const auto& text : {options.unknown_token, options.end_token, options.pad_token}) {
      const bool is_new = std::none_of(tokens.begin(), tokens.end(), [&](const auto& t) { return t.text == text; });
      if (is_new) tokens.push_back({.text = text, .id = id_of(text), .strip_left = true, .strip_right = true});
    }
    return tokens;
  }

  std::vector<std::string> pieces_of(const std::string& text) const {
    std::vector<std::string> pieces;
    model->encode(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
    return pieces;
  }

  std::string canonicalized(std::string_view text) const {
    const auto cased = options.lower_case ? to_lower(text) : std::string(text);
    return collapse_spaces(to_utf32(without_punctuation(cased)));
  }

  // SentencePiece puts a space before any text; as the peer does, the unknown token's text is put there to take it.
  void append_inner_pieces(std::string_view text, std::vector<std::string>& pieces) const {
    const auto found = pieces_of(options.unknown_token + canonicalized(text));
    const auto first = found.size() >= unknown_pieces ? unknown_pieces : 0;
    pieces.insert(pieces.end(), found.begin() + static_cast<std::ptrdiff_t>(first), found.end());
  }

  std::vector<std::int64_t> ids_of(std::string_view text) const {
    const auto as_is = [](std::string_view plain) { return std::string(plain); };
    std::string prefixed(meta_space_text);
    for (const char32_t c : to_utf32(text)) append_utf8(prefixed, c == meta_space ? U' ' : c);
    std::vector<std::string> pieces;
    std::vector<std::int64_t> tokens;  // of pieces that are added tokens, else -1
    added_tokens.visit(
        prefixed, as_is,
        [&](std::string_view plain) {
          append_inner_pieces(plain, pieces);
          tokens.resize(pieces.size(), -1);
        },
        [&](const AddedToken& token) {
          pieces.push_back(token.text);
          tokens.push_back(token.id);
        });
    const bool begins_with_token =
        pieces.size() > 1 && pieces[0] == meta_space_text && tokens[1] >= 0 && added_tokens.is_special(tokens[1]);
    std::vector<std::int64_t> ids;
    for (std::size_t i = begins_with_token ? 1 : 0; i < pieces.size(); ++i) {
      ids.push_back(tokens[i] >= 0 ? tokens[i] : model->id_of(pieces[i]));
    }
    return ids;
  }
};

SentencePieceTokenizer::SentencePieceTokenizer(const std::string& model, const SentencePieceTokenizerOptions& options)
    : state_(std::make_unique<State>(model, options)) {}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

std::vector<std::int64_t> SentencePieceTokenizer::encode(std::string_view text, std::int64_t context_length) const {
  check(context_length >= 1, "[SentencePieceTokenizer.encode] context_length: expected at least 1, got {}",
        context_length);
  const auto limit = static_cast<std::size_t>(context_length);
  auto ids = state_->ids_of(text);
  if (ids.size() >= limit) ids.resize(limit - 1);
  const bool has_end = !ids.empty() && ids.back() == state_->end_id;  // by the peer not written twice
  if (!has_end) ids.push_back(state_->end_id);
  return ids;
}

std::string SentencePieceTokenizer::decode(std::span<const std::int64_t> ids) const {
  std::vector<int> plain;
  for (const auto id : ids) {
    check(id >= 0 && id < vocab_size(), "[SentencePieceTokenizer.decode] ids: expected 0 to {}, got {}",
          vocab_size() - 1, id);
    if (!state_->added_tokens.is_special(id)) plain.push_back(static_cast<int>(id));
  }
  std::string text;
  state_->model->decode(plain, [&](std::string_view decoded) { text = decoded; });
  return text;
}

std::int64_t SentencePieceTokenizer::vocab_size() const { return state_->model->size(); }
std::int64_t SentencePieceTokenizer::pad_id() const { return state_->pad_id; }
std::int64_t SentencePieceTokenizer::end_id() const { return state_->end_id; }

void SentencePieceTokenizer::save(const std::filesystem::path& folder) const {
  const auto& options = state_->options;
  nlohmann::json config{{"tokenizer_class", "SiglipTokenizer"},
                        {"unk_token", options.unknown_token},
                        {"eos_token", options.end_token},
                        {"pad_token", options.pad_token}};
  config["do_lower_case"] = options.lower_case;
  config["added_tokens_decoder"] = added_tokens_json(state_->added_tokens.all());
  write_tokenizer_config(folder, config);
  write_file_atomically(folder / "spiece.model", state_->bytes);
}

}  // namespace vlalign
