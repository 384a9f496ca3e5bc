#include "eval/first_captions.hpp"

namespace vlalign {

std::vector<std::int64_t> first_captions(const Embeddings& embeddings) {
  std::vector<std::int64_t> first(static_cast<std::size_t>(embeddings.image.size(0)));
  for (auto text = std::ssize(embeddings.image_of_text) - 1; text >= 0; --text)
    first[static_cast<std::size_t>(embeddings.image_of_text[static_cast<std::size_t>(text)])] = text;
  return first;
}

}  // namespace vlalign
