#include "model/peers/folder_tokenizer.hpp"

#include <algorithm>
#include <array>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "tokenizers/cleaned_tokenizer.hpp"
#include "tokenizers/clip_cleaning.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "tokenizers/gemma_tokenizer.hpp"
#include "tokenizers/gpt2_tokenizer.hpp"
#include "tokenizers/load_tokenizer.hpp"
#include "tokenizers/nllb_tokenizer.hpp"
#include "tokenizers/sentence_piece_tokenizer.hpp"
#include "tokenizers/tiktoken_tokenizer.hpp"
#include "tokenizers/tokenizer_config.hpp"
#include "tokenizers/unigram_tokenizer.hpp"
#include "tokenizers/word_piece_tokenizer.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// What tokenizers differ in: case, marks, digits, white space, accents, scripts, HTML, misread and damaged text,
/// special tokens.
constexpr std::array captions{"",
                              "a photo of a red cup",
                              "A Photo, of THREE cups; don't drop Jos\u00e9's 1,234.50!",
                              "  two\t spaces \n and a line ",
                              "caf\u00e9 cafe\u0301 na\u00efve \u00c5ngstr\u00f6m \u0130stanbul stra\u00dfe",
                              "\u732b\u3068\u72ac \ud55c\uad6d\uc5b4 \u0440\u0443\u0441\u0441\u043a\u0438\u0439 "
                              "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \U0001f600\U0001f44d\U0001f3fd",
                              "salt &amp; pepper &lt;b&gt; &amp;amp;",
                              "\u00e2\u20ac\u0153quoted\u00e2\u20ac\u009d \u00c3\u00a9t\u00c3\u00a9",
                              "<|startoftext|> a <|endoftext|> b </s> c [SEP] d [MASK] <pad> <unk>",
                              "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ! \" ( ) \u2018single\u2019 \u2014 dash",
                              "damaged \xff\xfe bytes \xc3",
                              "supercalifragilisticexpialidocious antidisestablishmentarianism"};
constexpr std::int64_t whole = 512;  // tokens, so that none of the captions is cut

}  // namespace

std::shared_ptr<const Tokenizer> clip_tokenizer() {
  const auto file = share_folder() / "bpe_simple_vocab_16e6.txt.gz";
  check(is_there(file),
        "CLIP's vocabulary is not at {}: run cmake/setup.sh, or name the folder that has it in VLALIGN_SHARE",
        file.string());
  return load_tokenizer(file);
}

bool is_clips(const Tokenizer& tokenizer) {
  return dynamic_cast<const ClipTokenizer*>(&tokenizer) && tokenizer.vocab_size() == TextConfig{}.vocab_size;
}

namespace {

/// Those that this library builds, which a peer has too.
bool is_peers(const Tokenizer& tokenizer) {
  const auto is_any = [&]<typename... Kinds>() { return (... || dynamic_cast<const Kinds*>(&tokenizer)); };
  return is_any.template operator()<ClipTokenizer, Gpt2Tokenizer, WordPieceTokenizer, SentencePieceTokenizer,
                                    UnigramTokenizer, GemmaTokenizer, NllbTokenizer, TiktokenTokenizer>();
}

/// What open_clip's config calls the cleaning of a tokenizer; empty for the usual one.
std::string open_clip_cleaning(const Tokenizer& tokenizer) {
  if (const auto* cleaned = dynamic_cast<const CleanedTokenizer*>(&tokenizer))
    return cleaned->cleaning() == "whitespace" ? "" : cleaned->cleaning();
  const auto* clip = dynamic_cast<const ClipTokenizer*>(&tokenizer);
  if (clip && clip->cleaning() == ClipCleaning::open_clip_whitespace) return "whitespace";
  return clip && clip->cleaning() == ClipCleaning::open_clip_canonicalize ? "canonicalize" : "";
}

}  // namespace

void describe_tokenizer(const Tokenizer& tokenizer, Layout layout, TextConfig& text) {
  const bool open_clip = layout == Layout::open_clip;
  text.own_vocabulary = !open_clip || !is_clips(tokenizer);
  text.cleaning = open_clip ? open_clip_cleaning(tokenizer) : "";
  const auto* cleaned = dynamic_cast<const CleanedTokenizer*>(&tokenizer);
  text.strip_separator = open_clip && cleaned && cleaned->strips_separator();
  const auto* tiktoken = dynamic_cast<const TiktokenTokenizer*>(cleaned ? cleaned->cleaned().get() : &tokenizer);
  text.tiktoken = open_clip && tiktoken ? tiktoken->options().encoding : "";
  // open_clip's usual cleaning is none there
  if (cleaned && !text.tiktoken.empty()) text.cleaning = cleaned->cleaning();
}

std::shared_ptr<const Tokenizer> as_peer_uses_it(std::shared_ptr<const Tokenizer> tokenizer, Layout layout,
                                                 const TextConfig& text, std::optional<std::int64_t> pad_id) {
  const auto* cleaned = dynamic_cast<const CleanedTokenizer*>(tokenizer.get());
  const auto inner = cleaned ? cleaned->cleaned() : tokenizer;
  const auto* clip = dynamic_cast<const ClipTokenizer*>(inner.get());
  if (!is_peers(*inner)) return tokenizer;
  const auto transformers = [&]() -> std::shared_ptr<const Tokenizer> {
    const bool already = !clip || clip->cleaning() == ClipCleaning::hugging_face;
    return already ? inner : clip->with_cleaning(ClipCleaning::hugging_face, pad_id);
  };
  if (layout == Layout::hugging_face) return transformers();
  if (cleaned) return tokenizer;
  if (dynamic_cast<const TiktokenTokenizer*>(inner.get()) && text.cleaning.empty()) return tokenizer;
  if (!clip || (text.own_vocabulary && !is_clips(*clip)))
    return std::make_shared<const CleanedTokenizer>(
        transformers(), text.cleaning.empty() ? "whitespace" : text.cleaning, text.strip_separator);
  const bool simple = clip->cleaning() != ClipCleaning::hugging_face;
  if (simple && text.cleaning.empty()) return tokenizer;
  const auto wanted = open_clip_cleaning_of(text.cleaning.empty() ? "lower" : text.cleaning);
  return clip->cleaning() == wanted ? tokenizer : clip->with_cleaning(wanted);
}

std::optional<std::string> differing_caption(const Tokenizer& a, const Tokenizer& b) {
  const auto* found = std::find_if(captions.begin(), captions.end(), [&](const auto* caption) {
    return a.encode(caption, whole) != b.encode(caption, whole);
  });
  return found == captions.end() ? std::nullopt : std::optional<std::string>(*found);
}

std::shared_ptr<const Tokenizer> folder_tokenizer(const fs::path& folder, const TextConfig& text, Layout layout) {
  const bool own = holds_tokenizer(folder) || !text.tiktoken.empty();
  check(own || text.vocab_size == TextConfig{}.vocab_size,
        "{}: no tokenizer files, and the text tower's {} entries are not CLIP's vocabulary", folder.string(),
        text.vocab_size);
  const bool open_clip = layout == Layout::open_clip;
  if (own) return load_tokenizer_of(folder, open_clip ? TokenizerPeer::open_clip : TokenizerPeer::hugging_face);
  check(!text.strip_separator, "{}: text_cfg.tokenizer_kwargs.strip_sep_token: CLIP's own tokenizer has no separator",
        folder.string());
  auto clips = clip_tokenizer();
  if (text.cleaning.empty()) return clips;
  return dynamic_cast<const ClipTokenizer&>(*clips).with_cleaning(open_clip_cleaning_of(text.cleaning));
}

void check_fits(const Tokenizer& tokenizer, const TextConfig& text, const std::string& where) {
  // A table may have rows to spare, never too few.
  check(tokenizer.vocab_size() <= text.vocab_size, "{}: the tokenizer has {} entries, the text tower {}", where,
        tokenizer.vocab_size(), text.vocab_size);
  check(text.pool != TextConfig::Pool::end_token || tokenizer.end_id() == text.end_id,
        "{}: the text tower pools at token {}, the tokenizer ends texts with {}", where, text.end_id,
        tokenizer.end_id());
  check(!depends_on_padding(text) || tokenizer.pad_id() == text.pad_id,
        "{}: the text tower fills texts up with token {}, the tokenizer with {}", where, text.pad_id,
        tokenizer.pad_id());
}

void save_tokenizer(const Tokenizer& tokenizer, const fs::path& folder, const TextConfig& text, Layout layout) {
  tokenizer.save(folder);
  if (layout == Layout::hugging_face) remove_cleaning(folder);
  const auto back = folder_tokenizer(folder, text, layout);
  const auto check_same = [&](const char* what, const auto& ours, const auto& read) {
    check(ours == read, "[save] tokenizer: its files don't give it back: {} {} would come back as {}", what, ours,
          read);
  };
  check_same("vocab_size", tokenizer.vocab_size(), back->vocab_size());
  check_same("pad_id", tokenizer.pad_id(), back->pad_id());
  check_same("end_id", tokenizer.end_id(), back->end_id());
  for (const auto* caption : captions)
    check_same("the ids", tokenizer.encode(caption, whole), back->encode(caption, whole));
}

}  // namespace vlalign
