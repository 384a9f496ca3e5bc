// Bytes as a caption, the first choosing the tokenizer: cleaned and encoded without any error, into ids that keep the
// tokenizer's promises.
#include <algorithm>
#include <cstdint>

#include "input.hpp"
#include "text/text_cleaning.hpp"
#include "text/unicode_text.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::fuzz {
namespace {

using Ids = std::vector<std::int64_t>;

bool is_utf8(std::string_view text) { return to_utf8(to_utf32(text)) == text; }

void check_ids(const Tokenizer& tokenizer, const Ids& ids, std::int64_t context_length) {
  require(!ids.empty() && ids.size() <= static_cast<std::size_t>(context_length));
  require(ids.back() == tokenizer.end_id());
  for (const auto id : ids) require(id >= 0 && id < tokenizer.vocab_size());
}

void check_tokenizer(const Tokenizer& tokenizer, std::string_view text) {
  constexpr std::int64_t context_length = 77, shorter = 9;
  const auto whole = tokenizer.encode(text, context_length), cut = tokenizer.encode(text, shorter);
  check_ids(tokenizer, whole, context_length);
  check_ids(tokenizer, cut, shorter);
  require(std::equal(cut.begin(), cut.end() - 1, whole.begin()));
  require(is_utf8(tokenizer.decode(whole)));
}

}  // namespace
}  // namespace vlalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vlalign;
  static const auto tokenizers = [] {
    std::vector<std::shared_ptr<const Tokenizer>> loaded{
        load_tokenizer(VLALIGN_FIXTURES "/tokenizer/small_vocab.txt.gz"),
        load_tokenizer(VLALIGN_FIXTURES "/tokenizer/hugging_face")};
    for (const auto* name : {"bert", "bert_cased", "gpt2", "t5", "siglip"}) {
      const auto folder = std::string(VLALIGN_FIXTURES "/tokenizers/") + name;
      fuzz::succeeds([&] { loaded.push_back(load_tokenizer(folder)); });  // SigLIP's needs SentencePiece
    }
    return loaded;
  }();
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const auto clean : {repair_caption, clean_caption, canonicalize_caption})
    fuzz::require(fuzz::is_utf8(clean(text)));
  fuzz::check_tokenizer(*tokenizers[data[0] % tokenizers.size()], text);
  return 0;
}
