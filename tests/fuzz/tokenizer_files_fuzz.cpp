// Bytes as a tokenizer's files. The first byte chooses the kind, the files follow one another, a separator between.
#include <array>
#include <cstdint>

#include "input.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::fuzz {
namespace {

struct Kind {
  char letter;
  std::vector<const char*> files;
  bool folder = true;  // load_tokenizer is given the folder, not the file
};

const Kind kinds[] = {
    {'m', {"merges.txt.gz"}, false},
    {'v', {"vocab.json", "merges.txt", "tokenizer_config.json"}},
    {'t', {"tokenizer.json", "tokenizer_config.json", "open_clip_config.json"}},
    {'w', {"vocab.txt", "tokenizer_config.json"}},
    {'s', {"tokenizer_config.json", "spiece.model"}},
};

const Kind& kind_of(char letter) {
  for (const auto& kind : kinds) {
    if (kind.letter == letter) return kind;
  }
  return kinds[static_cast<unsigned char>(letter) % std::size(kinds)];
}

void use(const Tokenizer& tokenizer, const InputFolder& folder) {
  constexpr std::int64_t context_length = 16;
  const auto ids = tokenizer.encode("It's 2 caf\u00E9s &amp; an aardvark\u2019s \u4E2D\u6587", context_length);
  require(!ids.empty() && ids.size() <= context_length);
  for (const auto id : ids) require(id >= 0 && id < tokenizer.vocab_size());
  tokenizer.decode(ids);

  folder.clear();
  tokenizer.save(folder.path());
  const auto again = load_tokenizer(folder.path());
  require(again->encode("a photo of a cat", context_length) == tokenizer.encode("a photo of a cat", context_length));
}

}  // namespace
}  // namespace vlalign::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vlalign;
  static const fuzz::InputFolder folder;
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto& kind = fuzz::kind_of(bytes[0]);
  bytes.remove_prefix(1);
  folder.clear();
  for (const auto* file : kind.files) {
    const auto part = fuzz::take_part(bytes);
    if (!part.empty()) folder.write(file, part);
  }
  std::shared_ptr<const Tokenizer> tokenizer;
  const auto path = kind.folder ? folder.path() : folder.path() / kind.files.front();
  if (!fuzz::succeeds([&] { tokenizer = load_tokenizer(path); })) return 0;
  fuzz::succeeds([&] { fuzz::use(*tokenizer, folder); });
  return 0;
}
