#include <algorithm>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/naming.hpp"
#include "tokenizers/load_kinds.hpp"
#include "tokenizers/piece_model_file.hpp"
#include "tokenizers/sentence_piece_tokenizer.hpp"
#include "tokenizers/template_processing.hpp"
#include "tokenizers/tokenizer_config.hpp"
#include "tokenizers/unigram_tokenizer.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct PieceTables {
  fs::path file;
  std::vector<ScoredPiece> pieces;
  std::int64_t unknown_id = 0;
  std::string character_map;
  std::vector<AddedToken> model_tokens;  // that a SentencePiece model names
};

PieceTables read_piece_json(const TokenizerSource& source) {
  return naming(source.tokenizer_file.string(), [&]() -> PieceTables {
    const auto& model = source.tokenizer.at("model");
    const auto type = model.value("type", "Unigram");
    check(type == "Unigram", "model.type: expected Unigram, got {}", type);
    check(!source.tables.pieces.empty(), "model.vocab: expected an array of pieces and their scores");
    check(!model.value("byte_fallback", false), "model.byte_fallback: not read here for Unigram");
    return {source.tokenizer_file,
            source.tables.pieces,
            parse_id(model.at("unk_id")),
            character_map_of(source.tokenizer.value("normalizer", json())),
            {}};
  });
}

// SentencePiece's model as transformers reads it: its control and user-defined pieces are added tokens.
PieceTables read_piece_tables(const fs::path& file) {
  const auto bytes = read_file(file);
  return naming(file.string(), [&] {
    auto model = parse_piece_model(bytes);
    check(model.algorithm == PieceModelFile::Algorithm::unigram, "expected a unigram model");
    PieceTables tables{file, {}, model.unknown_id, std::move(model.character_map), {}};
    for (auto& [text, score, type] : model.pieces) {
      if (type == PieceType::control || type == PieceType::user_defined)
        tables.model_tokens.push_back({.text = text,
                                       .id = static_cast<std::int64_t>(tables.pieces.size()),
                                       .special = type == PieceType::control});
      tables.pieces.emplace_back(std::move(text), score);
    }
    return tables;
  });
}

// Those of the files, the named ones, and the model's or those that stand in their place in the configuration.
std::vector<AddedToken> tokens_of(const TokenizerSource& source, const PieceTables& tables,
                                  const std::vector<std::string>& named) {
  const FindId find = [&](const std::string& text) -> std::optional<std::int64_t> {
    const auto found = std::find_if(tables.pieces.begin(), tables.pieces.end(),
                                    [&](const auto& piece) { return piece.first == text; });
    return found == tables.pieces.end() ? std::nullopt : std::optional(found - tables.pieces.begin());
  };
  auto tokens = all_added_tokens(source, named, find);
  auto more = tables.model_tokens;
  if (const auto extra = extra_special_tokens(source.config)) {
    more.clear();
    for (const auto& text : *extra) more.push_back({.text = text});
  }
  append_missing(tokens, static_cast<std::int64_t>(tables.pieces.size()), more, find);
  return tokens;
}

void read_special_tokens(const json& config, UnigramTokenizerOptions& options) {
  options.end_token = special_token(config, "eos_token", options.end_token);
  options.pad_token = special_token(config, "pad_token", options.pad_token);
  options.unknown_token = special_token(config, "unk_token", options.unknown_token);
}

TokenizerPointer make_unigram(const TokenizerSource& source, const PieceTables& tables, UnigramTokenizerOptions options,
                              std::vector<std::string> more = {}) {
  return naming(tables.file.string(), [&] {
    more.insert(more.begin(),
                {options.start_token, options.pad_token, options.end_token, options.unknown_token, options.mask_token});
    options.added_tokens = tokens_of(source, tables, more);
    return std::make_shared<const UnigramTokenizer>(tables.pieces, tables.unknown_id, options);
  });
}

}  // namespace

TokenizerPointer load_siglip(const TokenizerSource& source) {
  const auto file = source.folder / "spiece.model";
  const auto model = read_file(file);
  return naming(file.string(), [&] {
    SentencePieceTokenizerOptions options;
    options.lower_case = source.config.value("do_lower_case", true);
    options.unknown_token = special_token(source.config, "unk_token", options.unknown_token);
    options.end_token = special_token(source.config, "eos_token", options.end_token);
    options.pad_token = special_token(source.config, "pad_token", options.end_token);
    options.added_tokens = read_added_tokens(source.config, json::object());
    return std::make_shared<const SentencePieceTokenizer>(model, options);
  });
}

// ---- T5 ----

namespace {

// T5's sentinels, as many as the configuration says.
std::vector<std::string> extra_tokens(const json& config) {
  std::vector<std::string> tokens;
  constexpr std::int64_t usual = 100, most = 100'000;
  const auto count = config.contains("extra_ids") ? parse_id(config.at("extra_ids")) : usual;
  check(count >= 0 && count <= most, "extra_ids: expected 0 to {}, got {}", most, count);
  for (std::int64_t i = 0; i < count; ++i) tokens.push_back(fmt::format("<extra_id_{}>", i));
  return tokens;
}

}  // namespace

TokenizerPointer load_t5(const TokenizerSource& source) {
  const bool has_json = !source.tokenizer.is_null();
  auto tables = has_json ? read_piece_json(source) : read_piece_tables(source.folder / "spiece.model");
  UnigramTokenizerOptions options{.text = {.character_map = tables.character_map}};
  auto extra = naming((source.folder / tokenizer_config_file).string(), [&] {
    read_special_tokens(source.config, options);
    return extra_tokens(source.config);
  });
  if (has_json) return make_unigram(source, tables, options, extra);
  for (auto token = extra.rbegin(); token != extra.rend(); ++token) tables.pieces.emplace_back(*token, 0.0);
  const bool has_own = std::any_of(tables.model_tokens.begin(), tables.model_tokens.end(), [](const auto& token) {
    return token.text.find("<extra_id_") != std::string::npos;
  });
  if (has_own) extra.clear();
  tables.unknown_id = 2;  // transformers' T5Tokenizer
  return make_unigram(source, tables, options, extra);
}

// ---- XLM-RoBERTa ----

TokenizerPointer load_xlm_roberta(const TokenizerSource& source) {
  const bool has_json = !source.tokenizer.is_null();
  auto tables = has_json ? read_piece_json(source) : read_piece_tables(source.folder / "sentencepiece.bpe.model");
  UnigramTokenizerOptions options{
      .tokenizer_class = "XLMRobertaTokenizer", .text = {.character_map = tables.character_map}, .start_token = "<s>"};
  naming((source.folder / tokenizer_config_file).string(), [&] {
    read_special_tokens(source.config, options);
    options.start_token = special_token(source.config, "bos_token", options.start_token);
    options.mask_token = special_token(source.config, "mask_token", "<mask>");
  });
  if (!has_json) {  // fairseq's ids: four tokens in front, of which the model has three, and one at the end
    auto& pieces = tables.pieces;
    check(pieces.size() >= 3, "{}: expected <unk>, <s> and </s> in front", tables.file.string());
    pieces.erase(pieces.begin(), pieces.begin() + 3);
    const ScoredPiece front[] = {
        {options.start_token, 0}, {options.pad_token, 0}, {options.end_token, 0}, {options.unknown_token, 0}};
    pieces.insert(pieces.begin(), std::begin(front), std::end(front));
    pieces.emplace_back(options.mask_token, 0.0);
  }
  tables.unknown_id = 3;  // transformers' XLMRobertaTokenizer
  return make_unigram(source, tables, options);
}

// ---- Others ----

TokenizerPointer load_unigram(const TokenizerSource& source) {
  const auto tables = read_piece_json(source);
  return naming(tables.file.string(), [&] {
    UnigramTokenizerOptions options{.tokenizer_class = "TokenizersBackend"};
    options.text =
        read_piece_text(source.tokenizer.value("normalizer", json()), source.tokenizer.value("pre_tokenizer", json()));
    read_special_tokens(source.config, options);
    const auto ends = read_post_processor(source.tokenizer.value("post_processor", json()));
    check(ends.before.size() <= 1 && ends.after.size() == 1,
          "post_processor: expected an end token behind the caption, and at most one token in front of it");
    if (!ends.before.empty()) options.start_token = ends.before[0].text;
    options.end_token = ends.after[0].text;
    options.mask_token = special_token(source.config, "mask_token", "");
    return make_unigram(source, tables, options);
  });
}

}  // namespace vlalign
