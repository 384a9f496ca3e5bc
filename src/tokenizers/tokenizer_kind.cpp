#include "tokenizers/tokenizer_kind.hpp"

#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "core/naming.hpp"
#include "tokenizers/byte_alphabet.hpp"
#include "tokenizers/piece_model_file.hpp"
#include "tokenizers/tokenizer_config.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

constexpr std::pair<const char*, TokenizerKind> classes[] = {{"CLIPTokenizer", TokenizerKind::clip},
                                                             {"GPT2Tokenizer", TokenizerKind::gpt2},
                                                             {"RobertaTokenizer", TokenizerKind::roberta},
                                                             {"BertTokenizer", TokenizerKind::word_piece},
                                                             {"DistilBertTokenizer", TokenizerKind::word_piece},
                                                             {"SiglipTokenizer", TokenizerKind::siglip},
                                                             {"T5Tokenizer", TokenizerKind::t5},
                                                             {"MT5Tokenizer", TokenizerKind::t5},
                                                             {"XLMRobertaTokenizer", TokenizerKind::xlm_roberta},
                                                             {"NllbTokenizer", TokenizerKind::nllb},
                                                             {"GemmaTokenizer", TokenizerKind::gemma},
                                                             {"Siglip2Tokenizer", TokenizerKind::gemma},
                                                             {"TikTokenTokenizer", TokenizerKind::tiktoken}};

std::string what_is_read() {
  std::string names;
  for (const auto& [name, kind] : classes) names += (names.empty() ? "" : ", ") + std::string(name);
  return names + " are read here";
}

std::optional<TokenizerKind> kind_of_class(const std::string& name) {
  for (const auto& [known, kind] : classes) {
    if (name == known) return kind;
  }
  check(name.empty(), "tokenizer_class {}: {}", name, what_is_read());
  return std::nullopt;
}

std::string type_of(const json& tokenizer, const char* part) {
  const auto found = tokenizer.find(part);
  return found == tokenizer.end() || found->is_null() ? "none" : found->value("type", "none");
}

/// Whether the post-processor puts tokens around a caption.
bool adds_tokens(const json& tokenizer) {
  const auto type = type_of(tokenizer, "post_processor");
  if (type == "TemplateProcessing")
    return !tokenizer.at("post_processor").value("special_tokens", json::object()).empty();
  return type != "ByteLevel" && type != "none";
}

TokenizerKind kind_of_bpe(const json& tokenizer) {
  const auto& model = tokenizer.at("model");
  const auto suffix = model.find("end_of_word_suffix");
  if (suffix != model.end() && *suffix == std::string(end_of_word)) return TokenizerKind::clip;
  if (model.value("byte_fallback", false)) return TokenizerKind::gemma;
  const auto before = type_of(tokenizer, "pre_tokenizer"), behind = type_of(tokenizer, "post_processor");
  if (before == "Metaspace") return TokenizerKind::nllb;
  check(before == "ByteLevel" && type_of(tokenizer, "normalizer") == "none",
        "model: BPE, normalizer {}, pre_tokenizer {}, post_processor {}: {}", type_of(tokenizer, "normalizer"), before,
        behind, what_is_read());
  return adds_tokens(tokenizer) ? TokenizerKind::roberta : TokenizerKind::gpt2;
}

TokenizerKind kind_of_tokenizer_json(const json& tokenizer) {
  const auto type = tokenizer.at("model").value("type", "BPE");
  if (type == "BPE") return kind_of_bpe(tokenizer);
  if (type == "Unigram") return TokenizerKind::unigram;
  check(type == "WordPiece", "model: {}: {}", type, what_is_read());
  const auto normalizer = type_of(tokenizer, "normalizer"), words = type_of(tokenizer, "pre_tokenizer");
  check(normalizer == "BertNormalizer" && words == "BertPreTokenizer",
        "model: WordPiece with normalizer {} and pre_tokenizer {}: {}", normalizer, words, what_is_read());
  return TokenizerKind::word_piece;
}

bool is_of_t5(const TokenizerSource& source) {
  const auto type = model_type(source);
  return type == "t5" || type == "mt5";
}

/// Whether the folder has what a kind is read from; of vocab.json and merges.txt one is enough to name the other.
bool has_files_of(TokenizerKind kind, const TokenizerSource& source) {
  if (!source.tokenizer.is_null()) return true;
  switch (kind) {
    case TokenizerKind::clip:
    case TokenizerKind::gpt2:
    case TokenizerKind::roberta:
      return has_file(source, "vocab.json") || has_file(source, "merges.txt");
    case TokenizerKind::word_piece:
      return has_file(source, "vocab.txt");
    case TokenizerKind::siglip:
    case TokenizerKind::t5:
      return has_file(source, "spiece.model");
    case TokenizerKind::xlm_roberta:
    case TokenizerKind::nllb:
      return has_file(source, "sentencepiece.bpe.model");
    case TokenizerKind::unigram:
    case TokenizerKind::gemma:
      return false;
    case TokenizerKind::tiktoken:
      return true;  // its file may have any name
  }
  return true;
}

[[noreturn]] void fail_without_files(const TokenizerSource& source) {
  fail(
      "{}: no tokenizer files: expected tokenizer.json, or vocab.json and merges.txt, or vocab.txt, or spiece.model, "
      "or "
      "sentencepiece.bpe.model, in this folder",
      source.folder.string());
}

TokenizerKind kind_of_model(const std::filesystem::path& file) {
  const auto bytes = read_file(file);
  const auto model = naming(file.string(), [&] { return parse_piece_model(bytes); });
  return model.algorithm == PieceModelFile::Algorithm::bpe ? TokenizerKind::nllb : TokenizerKind::xlm_roberta;
}

TokenizerKind kind_of_vocabulary(const std::filesystem::path& file) {
  const auto vocabulary = read_json_object(file);
  bool marks_word_end = false;
  for (const auto& [entry, id] : vocabulary.items()) marks_word_end = marks_word_end || entry.ends_with(end_of_word);
  if (marks_word_end) return TokenizerKind::clip;
  const bool has_robertas_tokens = vocabulary.contains("<s>") && vocabulary.contains("</s>");
  return has_robertas_tokens && vocabulary.contains("<pad>") ? TokenizerKind::roberta : TokenizerKind::gpt2;
}

}  // namespace

std::string tokenizer_class(const json& config) {
  auto name = special_token(config, "tokenizer_class", "");
  if (name == "PreTrainedTokenizerFast" || name == "PreTrainedTokenizer" || name == "TokenizersBackend") return {};
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name;
}

TokenizerKind kind_of(const TokenizerSource& source) {
  if (source.open_clip && special_token(source.text_cfg, "tokenizer_type", "") == "tiktoken")
    return TokenizerKind::tiktoken;
  const auto config_file = (source.folder / tokenizer_config_file).string();
  const auto named = naming(config_file, [&] { return kind_of_class(tokenizer_class(source.config)); });
  if (named && !has_files_of(*named, source)) fail_without_files(source);
  if (named) return *named;
  if (!source.tokenizer.is_null()) {
    return naming(source.tokenizer_file.string(), [&] { return kind_of_tokenizer_json(source.tokenizer); });
  }
  if (has_file(source, "sentencepiece.bpe.model")) return kind_of_model(source.folder / "sentencepiece.bpe.model");
  if (has_file(source, "spiece.model")) return is_of_t5(source) ? TokenizerKind::t5 : TokenizerKind::siglip;
  if (has_file(source, "vocab.txt")) return TokenizerKind::word_piece;
  if (!has_file(source, "vocab.json") || !has_file(source, "merges.txt")) fail_without_files(source);
  return kind_of_vocabulary(source.folder / "vocab.json");
}

}  // namespace vlalign
