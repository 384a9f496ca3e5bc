#include "tokenizers/load_tokenizer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "core/naming.hpp"
#include "tokenizers/cleaned_tokenizer.hpp"
#include "tokenizers/clip_cleaning.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "tokenizers/gemma_files.hpp"
#include "tokenizers/gemma_tokenizer.hpp"
#include "tokenizers/gpt2_tokenizer.hpp"
#include "tokenizers/merges_file.hpp"
#include "tokenizers/sentence_piece_tokenizer.hpp"
#include "tokenizers/tokenizer_config.hpp"
#include "tokenizers/unigram_tokenizer.hpp"
#include "tokenizers/word_piece_tokenizer.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using TokenizerPointer = std::shared_ptr<const Tokenizer>;

constexpr auto what_is_read =
    "CLIPTokenizer, GPT2Tokenizer, BertTokenizer, SiglipTokenizer, T5Tokenizer, GemmaTokenizer and Siglip2Tokenizer "
    "are read here";

constexpr auto open_clip_config = "open_clip_config.json";

enum class TokenizerKind { clip, gpt2, word_piece, siglip, t5, gemma };

// A folder, or a tokenizer.json by itself.
struct Source {
  fs::path folder;
  fs::path tokenizer_file = {};
  json config = json::object();    // tokenizer_config.json, empty where there is none
  json tokenizer = {};             // tokenizer.json, null where there is none
  bool open_clip = false;          // whether open_clip's config decides about captions
  json text_cfg = json::object();  // its part of that config
};

json read_json(const fs::path& file) {
  auto value = parse_json(read_file(file), file.string());
  check(value.is_object(), "{}: expected an object, got {}", file.string(), value.type_name());
  return value;
}

// What transformers goes by none of, in a folder that it reads.
void drop_own_keys(Source& source) {
  const auto file = (source.folder / tokenizer_config_file).string();
  const auto named = naming(file, [&] { return special_token(source.config, cleaning_key, "none"); });
  if (named != "none" && named != "hugging_face")
    log_warning("{}: {} \"{}\" is a key that transformers doesn't know: captions are read as transformers reads them",
                file, cleaning_key, named);
  source.config.erase(cleaning_key);
  source.config.erase(strip_separator_key);
}

// text_cfg.tokenizer_kwargs, of which a null says nothing.
json tokenizer_kwargs(const json& text_cfg) {
  auto kwargs = text_cfg.value("tokenizer_kwargs", json::object());
  if (kwargs.is_null()) return json::object();
  check(kwargs.is_object(), "text_cfg.tokenizer_kwargs: expected an object, got {}", kwargs.type_name());
  return kwargs;
}

void check_kwargs(const json& text_cfg) {
  check(text_cfg.value("tokenizer_mode", json()).is_null(), "text_cfg.tokenizer_mode: not read here");
  const auto kwargs = tokenizer_kwargs(text_cfg);
  for (const auto& [key, value] : kwargs.items()) {
    const bool known = key == "clean" || key == strip_separator_key;
    check(known || value.is_null() || value == "" || value == false,
          "text_cfg.tokenizer_kwargs.{}: not read here, clean and {} are", key, strip_separator_key);
  }
}

Source open_folder(const fs::path& folder, TokenizerPeer peer) {
  Source source{.folder = folder, .tokenizer_file = folder / "tokenizer.json"};
  if (is_there(folder / tokenizer_config_file)) source.config = read_json(folder / tokenizer_config_file);
  if (is_there(source.tokenizer_file)) source.tokenizer = read_json(source.tokenizer_file);
  if (peer == TokenizerPeer::hugging_face) drop_own_keys(source);
  source.open_clip = peer == TokenizerPeer::open_clip;
  if (!source.open_clip) return source;
  const auto file = folder / open_clip_config;
  const auto config = read_json(file);
  naming(file.string(), [&] {
    source.text_cfg = config.value("model_cfg", config).value("text_cfg", json::object());
    check_kwargs(source.text_cfg);
  });
  return source;
}

bool has_file(const Source& source, const char* name) {
  return !source.folder.empty() && is_there(source.folder / name);
}

// ---- Which kind ----

// The class without "Fast"; empty where none is named or the name says nothing.
std::string tokenizer_class(const json& config) {
  auto name = special_token(config, "tokenizer_class", "");
  if (name == "PreTrainedTokenizerFast" || name == "PreTrainedTokenizer" || name == "TokenizersBackend") return {};
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  return name;
}

std::optional<TokenizerKind> kind_of_class(const std::string& name) {
  if (name == "CLIPTokenizer") return TokenizerKind::clip;
  if (name == "GPT2Tokenizer") return TokenizerKind::gpt2;
  if (name == "BertTokenizer" || name == "DistilBertTokenizer") return TokenizerKind::word_piece;
  if (name == "SiglipTokenizer") return TokenizerKind::siglip;
  if (name == "T5Tokenizer") return TokenizerKind::t5;
  if (name == "GemmaTokenizer" || name == "Siglip2Tokenizer") return TokenizerKind::gemma;
  check(name.empty(), "tokenizer_class {}: {}", name, what_is_read);
  return std::nullopt;
}

std::string type_of(const json& tokenizer, const char* part) {
  const auto found = tokenizer.find(part);
  return found == tokenizer.end() || found->is_null() ? "none" : found->value("type", "none");
}

TokenizerKind kind_of_bpe(const json& tokenizer) {
  const auto& model = tokenizer.at("model");
  const auto suffix = model.find("end_of_word_suffix");
  if (suffix != model.end() && *suffix == std::string(end_of_word)) return TokenizerKind::clip;
  if (model.value("byte_fallback", false)) return TokenizerKind::gemma;
  const auto before = type_of(tokenizer, "pre_tokenizer"), behind = type_of(tokenizer, "post_processor");
  check(before == "ByteLevel" && behind != "RobertaProcessing", "model: BPE, pre_tokenizer {}, post_processor {}: {}",
        before, behind, what_is_read);
  return TokenizerKind::gpt2;
}

TokenizerKind kind_of_tokenizer_json(const json& tokenizer) {
  const auto type = tokenizer.at("model").value("type", "BPE");
  if (type == "BPE") return kind_of_bpe(tokenizer);
  if (type == "Unigram") return TokenizerKind::t5;
  check(type == "WordPiece", "model: {}: {}", type, what_is_read);
  const auto normalizer = type_of(tokenizer, "normalizer"), words = type_of(tokenizer, "pre_tokenizer");
  check(normalizer == "BertNormalizer" && words == "BertPreTokenizer",
        "model: WordPiece with normalizer {} and pre_tokenizer {}: {}", normalizer, words, what_is_read);
  return TokenizerKind::word_piece;
}

TokenizerKind kind_of(const Source& source) {
  const auto config_file = (source.folder / "tokenizer_config.json").string();
  const auto named = naming(config_file, [&] { return kind_of_class(tokenizer_class(source.config)); });
  if (named) return *named;
  if (!source.tokenizer.is_null()) {
    return naming(source.tokenizer_file.string(), [&] { return kind_of_tokenizer_json(source.tokenizer); });
  }
  if (has_file(source, "spiece.model")) return TokenizerKind::siglip;
  if (has_file(source, "vocab.txt")) return TokenizerKind::word_piece;
  check(has_file(source, "vocab.json") && has_file(source, "merges.txt"),
        "{}: expected tokenizer.json, or vocab.json and merges.txt, or vocab.txt, or spiece.model, in this folder",
        source.folder.string());
  const auto vocabulary = read_json(source.folder / "vocab.json");
  bool marks_word_end = false;
  for (const auto& [entry, id] : vocabulary.items()) marks_word_end = marks_word_end || entry.ends_with(end_of_word);
  return marks_word_end ? TokenizerKind::clip : TokenizerKind::gpt2;
}

// ---- Vocabularies ----

struct Bpe {
  fs::path file;  // of the vocabulary
  std::vector<Merge> merges;
  Vocabulary vocabulary;
};

Vocabulary parse_vocabulary(const json& entries) {
  check(entries.is_object(), "expected an object of entries and their ids, got {}", entries.type_name());
  Vocabulary vocabulary;
  for (const auto& [entry, id] : entries.items()) vocabulary.emplace(entry, parse_id(id));
  return vocabulary;
}

std::vector<Merge> parse_merge_list(const json& list) {
  check(list.is_array(), "model.merges: expected an array, got {}", list.type_name());
  std::vector<Merge> merges;
  merges.reserve(list.size());
  for (const auto& merge : list) {
    merges.push_back(merge.is_array() ? merge.get<Merge>() : parse_merge(merge.get<std::string>()));
  }
  return merges;
}

Bpe read_bpe(const Source& source) {
  if (!source.tokenizer.is_null()) {
    return naming(source.tokenizer_file.string(), [&]() -> Bpe {
      const auto& model = source.tokenizer.at("model");
      return {source.tokenizer_file, parse_merge_list(model.at("merges")), parse_vocabulary(model.at("vocab"))};
    });
  }
  const auto vocabulary = source.folder / "vocab.json", merges = source.folder / "merges.txt";
  auto all_merges = read_merges(merges, std::numeric_limits<std::size_t>::max());
  const auto entries = read_json(vocabulary);
  return naming(vocabulary.string(), [&]() -> Bpe {
    return {vocabulary, std::move(all_merges), parse_vocabulary(entries)};
  });
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

// Adds the added tokens to the vocabulary, and the named special tokens to the added ones.
std::vector<AddedToken> complete(const Source& source, Vocabulary& vocabulary, const std::vector<std::string>& named) {
  auto tokens = read_added_tokens(source.config, source.tokenizer.is_null() ? json::object() : source.tokenizer);
  for (const auto& token : tokens) vocabulary.emplace(token.text, token.id);
  for (const auto& text : named) {
    const bool is_added = std::any_of(tokens.begin(), tokens.end(), [&](const auto& t) { return t.text == text; });
    const auto entry = vocabulary.find(text);
    if (!is_added && entry != vocabulary.end()) tokens.push_back({.text = text, .id = entry->second});
  }
  return tokens;
}

// ---- One function a kind ----

// Empty where the folder decides.
std::string named_cleaning(const Source& source) { return special_token(source.config, cleaning_key, ""); }

// One that open_clip applies to another library's tokenizer.
bool is_open_clips_word(const std::string& cleaning) {
  return cleaning == "whitespace" || cleaning == "lower" || cleaning == "canonicalize";
}

// open_clip's own tokenizer, in a folder where none of transformers is asked for.
ClipCleaning simple_cleaning(const Source& source) {
  const auto kwargs = tokenizer_kwargs(source.text_cfg);
  check(!kwargs.value(strip_separator_key, false),
        "text_cfg.tokenizer_kwargs.{}: CLIP's own tokenizer has no separator", strip_separator_key);
  return open_clip_cleaning_of(special_token(kwargs, "clean", "lower"));
}

ClipCleaning clip_cleaning(const Source& source) {
  const auto named = named_cleaning(source);
  const auto simple = [&] {
    return naming((source.folder / open_clip_config).string(), [&] { return simple_cleaning(source); });
  };
  if (named.empty()) {
    const bool transformers = !special_token(source.text_cfg, "hf_tokenizer_name", "").empty();
    return source.open_clip && !transformers ? simple() : ClipCleaning::hugging_face;
  }
  if (named == "none" || is_open_clips_word(named)) return ClipCleaning::hugging_face;
  const auto known = clip_cleaning_of(named);
  check(known.has_value(), "{}: expected open_clip, hugging_face, whitespace, lower or canonicalize, got {}",
        cleaning_key, named);
  return source.open_clip && *known == ClipCleaning::open_clip ? simple() : *known;
}

TokenizerPointer load_clip(const Source& source) {
  auto bpe = read_bpe(source);
  return naming(bpe.file.string(), [&] {
    ClipTokenizerOptions options;
    options.cleaning = clip_cleaning(source);
    const bool open_clip = options.cleaning != ClipCleaning::hugging_face;
    const auto end = special_token(source.config, "eos_token", "<|endoftext|>");
    const auto pad = special_token(source.config, "pad_token", end);
    auto added = complete(source, bpe.vocabulary, {"<|startoftext|>", end, pad});
    if (!open_clip) options.added_tokens = std::move(added);
    // open_clip pads with 0 whatever transformers' file beside it says; a file that names the cleaning is ours.
    const bool pads = !open_clip || (!named_cleaning(source).empty() && source.config.contains("pad_token"));
    if (const auto found = bpe.vocabulary.find(pad); pads && found != bpe.vocabulary.end())
      options.pad_id = found->second;
    return std::make_shared<const ClipTokenizer>(bpe.merges, bpe.vocabulary, options);
  });
}

TokenizerPointer load_gpt2(const Source& source) {
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

// transformers' BertTokenizer goes by tokenizer_config.json, a tokenizer.json without it by its normalizer.
void read_bert_normalization(const Source& source, WordPieceTokenizerOptions& options) {
  const bool has_config = !source.config.empty() || source.tokenizer.is_null();
  const auto& from = has_config ? source.config : source.tokenizer.at("normalizer");
  options.lower_case = from.value(has_config ? "do_lower_case" : "lowercase", true);
  options.split_chinese_characters = from.value(has_config ? "tokenize_chinese_chars" : "handle_chinese_chars", true);
  const auto strip = from.find("strip_accents");
  if (strip != from.end() && !strip->is_null()) options.strip_accents = strip->get<bool>();
}

TokenizerPointer load_word_piece(const Source& source) {
  const bool has_json = !source.tokenizer.is_null();
  const auto file = has_json ? source.tokenizer_file : source.folder / "vocab.txt";
  return naming(file.string(), [&] {
    auto vocabulary = has_json ? parse_vocabulary(source.tokenizer.at("model").at("vocab")) : read_lines(file);
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

TokenizerPointer load_siglip(const Source& source) {
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

TokenizerPointer load_t5(const Source& source) {
  const auto text = read_file(source.tokenizer_file);
  return naming(source.tokenizer_file.string(), [&] {
    UnigramTokenizerOptions options;
    options.end_token = special_token(source.config, "eos_token", options.end_token);
    options.pad_token = special_token(source.config, "pad_token", options.pad_token);
    options.added_tokens = read_added_tokens(source.config, source.tokenizer);
    return std::make_shared<const UnigramTokenizer>(text, options);
  });
}

// As transformers decides it: GemmaTokenizer in a SigLIP 2 model's folder is Siglip2Tokenizer.
bool is_siglip2(const Source& source) {
  if (tokenizer_class(source.config) == "Siglip2Tokenizer") return true;
  if (!has_file(source, "config.json")) return false;
  const auto file = source.folder / "config.json";
  return naming(file.string(), [&] { return special_token(read_json(file), "model_type", "") == "siglip2"; });
}

TokenizerPointer load_gemma(const Source& source) {
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

TokenizerPointer load(const Source& source) {
  switch (kind_of(source)) {
    case TokenizerKind::clip:
      return load_clip(source);
    case TokenizerKind::gpt2:
      return load_gpt2(source);
    case TokenizerKind::word_piece:
      return load_word_piece(source);
    case TokenizerKind::siglip:
      return load_siglip(source);
    case TokenizerKind::t5:
      return load_t5(source);
    case TokenizerKind::gemma:
      return load_gemma(source);
  }
  fail("[load_tokenizer] {}: unknown kind", source.folder.string());
}

// ---- open_clip ----

// What open_clip's HFTokenizer does around another library's tokenizer.
TokenizerPointer as_open_clip_uses_it(TokenizerPointer tokenizer, const Source& source) {
  return naming((source.folder / open_clip_config).string(), [&]() -> TokenizerPointer {
    const auto kwargs = tokenizer_kwargs(source.text_cfg);
    return std::make_shared<const CleanedTokenizer>(std::move(tokenizer), special_token(kwargs, "clean", "whitespace"),
                                                    kwargs.value(strip_separator_key, false));
  });
}

TokenizerPointer load_folder(const Source& source) {
  auto tokenizer = load(source);
  const auto* clip = dynamic_cast<const ClipTokenizer*>(tokenizer.get());
  const auto config_file = (source.folder / tokenizer_config_file).string();
  const auto named = naming(config_file, [&] { return named_cleaning(source); });
  if (named == "none" || (clip && (clip_cleaning_of(named) || clip->cleaning() != ClipCleaning::hugging_face)))
    return tokenizer;
  if (!named.empty())
    return naming(config_file, [&]() -> TokenizerPointer {
      const bool strip = source.config.value(strip_separator_key, false);
      return std::make_shared<const CleanedTokenizer>(std::move(tokenizer), named, strip);
    });
  return source.open_clip ? as_open_clip_uses_it(std::move(tokenizer), source) : tokenizer;
}

TokenizerPeer peer_of(const fs::path& folder) {
  if (is_there(folder / open_clip_config)) return TokenizerPeer::open_clip;
  return is_there(folder / "config.json") ? TokenizerPeer::hugging_face : TokenizerPeer::none;
}

TokenizerPointer load_clip_merges(const fs::path& file) {
  constexpr std::size_t clip_merges = 49152 - 256 - 2;  // CLIP's file holds more, of which it uses none
  const auto merges = read_merges(file, clip_merges);
  return naming(file.string(), [&] { return std::make_shared<const ClipTokenizer>(merges); });
}

}  // namespace

bool holds_tokenizer(const fs::path& folder) {
  constexpr const char* tokenizer_files[] = {"tokenizer.json", "vocab.json", "vocab.txt", "spiece.model"};
  return std::any_of(std::begin(tokenizer_files), std::end(tokenizer_files),
                     [&](auto* name) { return is_there(folder / name); });
}

namespace {

TokenizerPointer load_path(const fs::path& path) {
  if (is_folder(path)) return load_folder(open_folder(path, peer_of(path)));
  if (path.filename() == "vocab.txt" || path.filename() == "spiece.model") {
    const Source source{.folder = path.parent_path().empty() ? fs::path(".") : path.parent_path()};
    return path.extension() == ".txt" ? load_word_piece(source) : load_siglip(source);
  }
  if (path.extension() != ".json") return load_clip_merges(path);
  Source source{.folder = {}, .tokenizer_file = path};
  source.tokenizer = read_json(path);
  return load(source);
}

}  // namespace

TokenizerPointer load_tokenizer_of(const fs::path& folder, TokenizerPeer peer) {
  return without_foreign_errors(folder.string(), [&] { return load_folder(open_folder(folder, peer)); });
}

TokenizerPointer load_tokenizer(const fs::path& path) {
  return without_foreign_errors(path.string(), [&] { return load_path(path); });
}

}  // namespace vlalign
