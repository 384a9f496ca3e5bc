#include <algorithm>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "core/naming.hpp"
#include "tokenizers/gemma_files.hpp"
#include "tokenizers/gemma_tokenizer.hpp"
#include "tokenizers/gpt2_tokenizer.hpp"
#include "tokenizers/load_kinds.hpp"
#include "tokenizers/merges_file.hpp"
#include "tokenizers/nllb_tokenizer.hpp"
#include "tokenizers/piece_model_file.hpp"
#include "tokenizers/template_processing.hpp"
#include "tokenizers/tokenizer_config.hpp"
#include "tokenizers/tokenizer_kind.hpp"
#include "tokenizers/word_piece_tokenizer.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

Vocabulary parse_vocabulary(const json& entries) {
  Vocabulary vocabulary;
  for (const auto& [entry, id] : entries.items()) vocabulary.emplace(entry, parse_id(id));
  return vocabulary;
}

Vocabulary read_lines(const fs::path& file) {
  const auto text = read_text(file);
  std::string_view rest = text;
  Vocabulary vocabulary;
  for (std::int64_t id = 0; !rest.empty(); ++id) {
    const auto end = rest.find('\n');
    auto line = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto [first, is_new] = vocabulary.emplace(line, id);
    check(is_new, "{}: line {}: '{}' is in line {} already", file.string(), id + 1, line, first->second + 1);
  }
  return vocabulary;
}

json part_of_json(const json& tokenizer, const char* name) {
  return tokenizer.is_object() ? tokenizer.value(name, json()) : json();
}

}  // namespace

TokenizerSource folder_of(const fs::path& file) {
  return {.folder = file.parent_path().empty() ? fs::path(".") : file.parent_path()};
}

BpeTables read_bpe(const TokenizerSource& source) {
  if (!source.tokenizer.is_null()) {
    naming(source.tokenizer_file.string(), [&] {
      check(!source.tables.vocabulary.empty(), "model.vocab: expected an object of entries and their ids");
    });
    return {source.tokenizer_file, source.tables.merges, source.tables.vocabulary};
  }
  const auto vocabulary = source.folder / "vocab.json", merges = source.folder / "merges.txt";
  auto all_merges = read_merges(merges, std::numeric_limits<std::size_t>::max());
  const auto entries = read_json_object(vocabulary);
  return naming(vocabulary.string(), [&]() -> BpeTables {
    return {vocabulary, std::move(all_merges), parse_vocabulary(entries)};
  });
}

TokenizerPointer load_gpt2(const TokenizerSource& source) {
  auto bpe = read_bpe(source);
  return naming(bpe.file.string(), [&] {
    Gpt2TokenizerOptions options;
    options.end_token = special_token(source.config, "eos_token", options.end_token);
    const auto pad = special_token(source.config, "pad_token", options.end_token);
    options.add_prefix_space = source.config.value("add_prefix_space", false);
    options.added_tokens = complete(source, bpe.vocabulary, {options.end_token, pad});
    options.pad_id = id_of_token(bpe.vocabulary, pad);
    return std::make_shared<const Gpt2Tokenizer>(bpe.merges, bpe.vocabulary, options);
  });
}

TokenizerPointer load_roberta(const TokenizerSource& source) {
  auto bpe = read_bpe(source);
  return naming(bpe.file.string(), [&] {
    Gpt2TokenizerOptions options{.start_token = "<s>", .end_token = "</s>"};
    if (tokenizer_class(source.config).empty()) {  // the file says it all
      const auto ends = read_post_processor(part_of_json(source.tokenizer, "post_processor"));
      if (!ends.before.empty()) options.start_token = ends.before[0].text;
      if (!ends.after.empty()) options.end_token = ends.after[0].text;
      check(ends.before.size() <= 1 && ends.after.size() <= 1,
            "post_processor: expected one token before a caption and one behind it");
      const auto words = part_of_json(source.tokenizer, "pre_tokenizer");
      options.add_prefix_space = words.is_object() && words.value("add_prefix_space", false);
    }
    options.start_token = special_token(source.config, "cls_token", options.start_token);
    options.end_token = special_token(source.config, "sep_token", options.end_token);
    options.unknown_token = special_token(source.config, "unk_token", "<unk>");
    const auto mask = special_token(source.config, "mask_token", "<mask>");
    if (bpe.vocabulary.contains(mask)) options.mask_token = mask;
    const auto pad = special_token(source.config, "pad_token", "<pad>");
    options.add_prefix_space = source.config.value("add_prefix_space", options.add_prefix_space);
    options.added_tokens =
        complete(source, bpe.vocabulary, {options.start_token, pad, options.end_token, options.unknown_token, mask});
    options.pad_id = id_of_token(bpe.vocabulary, pad);
    return std::make_shared<const Gpt2Tokenizer>(bpe.merges, bpe.vocabulary, options);
  });
}

// As transformers decides it: GemmaTokenizer in a SigLIP 2 model's folder is Siglip2Tokenizer.
static bool is_siglip2(const TokenizerSource& source) {
  return tokenizer_class(source.config) == "Siglip2Tokenizer" || model_type(source) == "siglip2";
}

TokenizerPointer load_gemma(const TokenizerSource& source) {
  check(!source.tokenizer.is_null(), "{}: expected a tokenizer.json, as GemmaTokenizer and Siglip2Tokenizer have",
        source.folder.string());
  const auto bpe = read_bpe(source);
  const bool lower_case = is_siglip2(source);
  return naming(source.tokenizer_file.string(), [&] {
    auto options = read_gemma_options(source.config, source.tokenizer);
    options.lower_case = options.lower_case || lower_case;
    const auto mask = special_token(source.config, "mask_token", "<mask>");
    auto vocabulary = bpe.vocabulary;
    options.added_tokens = complete(
        source, vocabulary, {options.start_token, options.end_token, options.pad_token, options.unknown_token, mask});
    return std::make_shared<const GemmaTokenizer>(bpe.merges, bpe.vocabulary, options);
  });
}

// ---- NLLB ----

namespace {

// transformers puts fairseq's four tokens in front of the pieces, which have them in another order.
BpeTables read_bpe_model(const fs::path& file, std::string& character_map) {
  const auto bytes = read_file(file);
  auto model = naming(file.string(), [&] { return parse_piece_model(bytes); });
  character_map = std::move(model.character_map);
  BpeTables tables{file, {}, {{"<s>", 0}, {"<pad>", 1}, {"</s>", 2}, {"<unk>", 3}}};
  std::vector<std::string> texts;
  for (auto& piece : model.pieces) {
    tables.vocabulary.emplace(piece.text, static_cast<std::int64_t>(tables.vocabulary.size()));
    texts.push_back(std::move(piece.text));
  }
  tables.merges = merges_of_pieces(texts);
  return tables;
}

BpeTables read_nllb(const TokenizerSource& source, PieceTextOptions& text) {
  if (source.tokenizer.is_null()) return read_bpe_model(source.folder / "sentencepiece.bpe.model", text.character_map);
  const auto& file = source.tokenizer_file;
  naming(file.string(), [&] {
    const auto normalizer = part_of_json(source.tokenizer, "normalizer");
    const bool by_file = tokenizer_class(source.config).empty();
    if (by_file) {
      text = read_piece_text(normalizer, part_of_json(source.tokenizer, "pre_tokenizer"));
    } else {
      text.character_map = character_map_of(normalizer);
    }
    if (text.character_map.empty() && !by_file) text.collapse_spaces = false;
    check(!source.tokenizer.at("model").value("byte_fallback", false), "model.byte_fallback: not read here for NLLB");
  });
  return read_bpe(source);
}

std::string language_of(const TokenizerSource& source, const CaptionEnds& ends) {
  const auto language =
      special_token(source.config, "src_lang", ends.before.empty() ? "eng_Latn" : ends.before[0].text);
  const auto kwargs = tokenizer_kwargs(source.text_cfg);
  // Of no effect in open_clip either: each call of transformers' tokenizer puts src_lang back.
  if (!special_token(kwargs, "language", "").empty())
    log_warning("{}: text_cfg.tokenizer_kwargs.language has no effect on captions, src_lang has",
                (source.folder / open_clip_config_file).string());
  return special_token(kwargs, "src_lang", language);
}

}  // namespace

TokenizerPointer load_nllb(const TokenizerSource& source) {
  NllbTokenizerOptions options;
  auto bpe = read_nllb(source, options.text);
  return naming(bpe.file.string(), [&] {
    const bool by_file = tokenizer_class(source.config).empty();
    options.start_token = special_token(source.config, "bos_token", options.start_token);
    options.end_token = special_token(source.config, "eos_token", options.end_token);
    options.pad_token = special_token(source.config, "pad_token", options.pad_token);
    options.unknown_token = special_token(source.config, "unk_token", options.unknown_token);
    options.language_behind = source.config.value("legacy_behaviour", false);
    const auto ends = by_file ? read_post_processor(part_of_json(source.tokenizer, "post_processor")) : CaptionEnds{};
    options.language = language_of(source, ends);
    const auto mask = special_token(source.config, "mask_token", "<mask>");
    const FindId find = [&](const std::string& text) -> std::optional<std::int64_t> {
      const auto entry = bpe.vocabulary.find(text);
      return entry == bpe.vocabulary.end() ? std::nullopt : std::optional(entry->second);
    };
    options.mask_token = mask;
    options.added_tokens = all_added_tokens(
        source, {options.start_token, options.pad_token, options.end_token, options.unknown_token}, find);
    std::vector<AddedToken> more{{.text = mask, .strip_left = true, .normalized = true}};
    for (const auto& text : extra_special_tokens(source.config).value_or(std::vector<std::string>()))
      more.push_back({.text = text});
    append_missing(options.added_tokens, static_cast<std::int64_t>(bpe.vocabulary.size()), more, find);
    return std::make_shared<const NllbTokenizer>(bpe.vocabulary, bpe.merges, options);
  });
}

// ---- WordPiece ----

// transformers' BertTokenizer goes by tokenizer_config.json, a tokenizer.json without it by its normalizer.
static void read_bert_normalization(const TokenizerSource& source, WordPieceTokenizerOptions& options) {
  const bool has_config = !source.config.empty() || source.tokenizer.is_null();
  const auto& from = has_config ? source.config : source.tokenizer.at("normalizer");
  options.lower_case = from.value(has_config ? "do_lower_case" : "lowercase", true);
  options.split_chinese_characters = from.value(has_config ? "tokenize_chinese_chars" : "handle_chinese_chars", true);
  const auto strip = from.find("strip_accents");
  if (strip != from.end() && !strip->is_null()) options.strip_accents = strip->get<bool>();
}

TokenizerPointer load_word_piece(const TokenizerSource& source) {
  const bool has_json = !source.tokenizer.is_null();
  const auto file = has_json ? source.tokenizer_file : source.folder / "vocab.txt";
  return naming(file.string(), [&] {
    auto vocabulary = has_json ? source.tables.vocabulary : read_lines(file);
    WordPieceTokenizerOptions options;
    read_bert_normalization(source, options);
    options.unknown_token = special_token(source.config, "unk_token", options.unknown_token);
    options.start_token = special_token(source.config, "cls_token", options.start_token);
    options.end_token = special_token(source.config, "sep_token", options.end_token);
    options.pad_token = special_token(source.config, "pad_token", options.pad_token);
    const auto mask = special_token(source.config, "mask_token", "[MASK]");
    options.added_tokens = complete(
        source, vocabulary, {options.unknown_token, options.start_token, options.end_token, options.pad_token, mask});
    return std::make_shared<const WordPieceTokenizer>(entries_by_id(vocabulary), options);
  });
}

}  // namespace vlalign
