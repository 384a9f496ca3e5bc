#include "folder_tokenizer.hpp"

#include <array>

#include "core/check.hpp"
#include "core/files.hpp"
#include "data/cleaned_tokenizer.hpp"
#include "data/load_tokenizer.hpp"
#include "validate.hpp"
#include "vlalign/data/clip_tokenizer.hpp"

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

std::string open_clip_cleaning(const Tokenizer& tokenizer) {
  const auto* cleaned = dynamic_cast<const CleanedTokenizer*>(&tokenizer);
  return cleaned && cleaned->cleaning() != "whitespace" ? cleaned->cleaning() : "";
}

std::shared_ptr<const Tokenizer> folder_tokenizer(const fs::path& folder, const TextConfig& text) {
  const bool own = holds_tokenizer(folder);
  check(own || text.vocab_size == TextConfig{}.vocab_size,
        "{}: no tokenizer files, and the text tower's {} entries are not CLIP's vocabulary", folder.string(),
        text.vocab_size);
  return own ? load_tokenizer(folder) : clip_tokenizer();
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

void save_tokenizer(const Tokenizer& tokenizer, const fs::path& folder, const TextConfig& text) {
  tokenizer.save(folder);
  const auto back = folder_tokenizer(folder, text);
  const auto check_same = [&](const char* what, const auto& ours, const auto& read) {
    check(ours == read, "[save] tokenizer: its files don't give it back: {} {} would come back as {}", what, ours,
          read);
  };
  check_same("vocab_size", tokenizer.vocab_size(), back->vocab_size());
  check_same("pad_id", tokenizer.pad_id(), back->pad_id());
  check_same("end_id", tokenizer.end_id(), back->end_id());
  constexpr std::int64_t whole = 512;  // tokens, so that none of the captions is cut
  for (const auto* caption : captions)
    check_same("the ids", tokenizer.encode(caption, whole), back->encode(caption, whole));
}

}  // namespace vlalign
