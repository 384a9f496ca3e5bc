// modules [lerobot DATASET] [sentencepiece TOKENIZER]
#include <string>
#include <vlalign/data/sources/episodes.hpp>
#include <vlalign/tokenizers/tokenizer.hpp>

namespace {

bool opens_dataset(const std::string& folder) {
  const auto source = vlalign::open_episodes(folder);
  return source->size() == 3 && source->frame(1, 0, vlalign::PixelsAs::vlalign).width == 64;
}

bool opens_tokenizer(const std::string& folder) {
  const auto tokenizer = vlalign::load_tokenizer(folder);
  return tokenizer->decode(tokenizer->encode("a photo", 16)) == "a photo";
}

}  // namespace

int main(int count, char** arguments) {
  bool good = count > 1;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string module = arguments[i], folder = arguments[i + 1];
    good = good && (module == "lerobot" ? opens_dataset(folder) : opens_tokenizer(folder));
  }
  return good ? 0 : 1;
}
