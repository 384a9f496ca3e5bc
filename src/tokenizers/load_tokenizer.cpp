#include "tokenizers/load_tokenizer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "core/naming.hpp"
#include "tokenizers/cleaned_tokenizer.hpp"
#include "tokenizers/clip_cleaning.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "tokenizers/load_kinds.hpp"
#include "tokenizers/merges_file.hpp"
#include "tokenizers/tiktoken_tokenizer.hpp"
#include "tokenizers/tokenizer_config.hpp"
#include "tokenizers/tokenizer_kind.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Source = TokenizerSource;

// ---- CLIP ----

// Empty where the folder decides.
std::string named_cleaning(const Source& source) { return special_token(source.config, cleaning_key, ""); }

// One that open_clip applies to another library's tokenizer.
bool is_open_clips_word(const std::string& cleaning) {
  constexpr const char* words[] = {"whitespace", "whitespace_underscore", "lower", "canonicalize"};
  return std::find(std::begin(words), std::end(words), cleaning) != std::end(words);
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
    return naming((source.folder / open_clip_config_file).string(), [&] { return simple_cleaning(source); });
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

TokenizerPointer load(const Source& source) {
  switch (kind_of(source)) {
    case TokenizerKind::clip:
      return load_clip(source);
    case TokenizerKind::gpt2:
      return load_gpt2(source);
    case TokenizerKind::roberta:
      return load_roberta(source);
    case TokenizerKind::word_piece:
      return load_word_piece(source);
    case TokenizerKind::siglip:
      return load_siglip(source);
    case TokenizerKind::t5:
      return load_t5(source);
    case TokenizerKind::xlm_roberta:
      return load_xlm_roberta(source);
    case TokenizerKind::unigram:
      return load_unigram(source);
    case TokenizerKind::nllb:
      return load_nllb(source);
    case TokenizerKind::gemma:
      return load_gemma(source);
    case TokenizerKind::tiktoken:
      return load_tiktoken(source);
  }
  fail("[load_tokenizer] {}: unknown kind", source.folder.string());
}

// ---- open_clip ----

// What open_clip's HFTokenizer does around another library's tokenizer.
TokenizerPointer as_open_clip_uses_it(TokenizerPointer tokenizer, const Source& source) {
  return naming((source.folder / open_clip_config_file).string(), [&]() -> TokenizerPointer {
    const auto kwargs = tokenizer_kwargs(source.text_cfg);
    const bool is_tiktoken = dynamic_cast<const TiktokenTokenizer*>(tokenizer.get()) != nullptr;
    const auto cleaning = special_token(kwargs, "clean", is_tiktoken ? "" : "whitespace");
    if (is_tiktoken && cleaning.empty()) return tokenizer;
    return std::make_shared<const CleanedTokenizer>(std::move(tokenizer), cleaning,
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
  if (is_there(folder / open_clip_config_file)) return TokenizerPeer::open_clip;
  return is_there(folder / "config.json") ? TokenizerPeer::hugging_face : TokenizerPeer::none;
}

TokenizerPointer load_clip_merges(const fs::path& file) {
  constexpr std::size_t clip_merges = 49152 - 256 - 2;  // CLIP's file holds more, of which it uses none
  const auto merges = read_merges(file, clip_merges);
  return naming(file.string(), [&] { return std::make_shared<const ClipTokenizer>(merges); });
}

}  // namespace

fs::path tokenizer_file_in(const fs::path& folder) {
  constexpr const char* tokenizer_files[] = {"tokenizer.json", "vocab.json", "vocab.txt", "spiece.model",
                                             "sentencepiece.bpe.model"};
  for (const auto* name : tokenizer_files)
    if (is_there(folder / name)) return folder / name;
  const auto files = is_folder(folder) ? entries_of(folder) : std::vector<fs::path>{};
  const auto found =
      std::find_if(files.begin(), files.end(), [](const auto& file) { return file.extension() == ".tiktoken"; });
  return found == files.end() ? fs::path() : *found;
}

bool holds_tokenizer(const fs::path& folder) { return !tokenizer_file_in(folder).empty(); }

namespace {

// The files that stand for a folder.
TokenizerPointer load_file(const fs::path& path) {
  const auto name = path.filename();
  if (name == "vocab.txt") return load_word_piece(folder_of(path));
  if (name == "spiece.model") return load_siglip(folder_of(path));
  if (name == "sentencepiece.bpe.model") return load(folder_of(path));
  if (path.extension() == ".tiktoken") return load_tiktoken_file(path);
  return path.extension() == ".json" ? load(open_tokenizer_json(path)) : load_clip_merges(path);
}

TokenizerPointer load_path(const fs::path& path) {
  return is_folder(path) ? load_folder(open_tokenizer_folder(path, peer_of(path))) : load_file(path);
}

}  // namespace

TokenizerPointer load_tokenizer_of(const fs::path& folder, TokenizerPeer peer) {
  return without_foreign_errors(folder.string(), [&] { return load_folder(open_tokenizer_folder(folder, peer)); });
}

TokenizerPointer load_tokenizer(const fs::path& path) {
  return without_foreign_errors(path.string(), [&] { return load_path(path); });
}

}  // namespace vlalign
