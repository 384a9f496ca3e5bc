#include "model/kept_embeddings.hpp"

#include <algorithm>

namespace vlalign {

bool KeptEmbeddings::copy(std::string_view text, std::uint64_t version, std::span<float> out) {
  const std::lock_guard lock(mutex_);
  if (version > version_) {
    texts_.clear();
    version_ = version;
  }
  const auto* kept = texts_.find(text);
  if (kept != nullptr) std::copy(kept->begin(), kept->end(), out.begin());
  return kept != nullptr;
}

void KeptEmbeddings::keep(std::string_view text, std::uint64_t made_with, std::span<const float> embedding) {
  const std::lock_guard lock(mutex_);
  if (made_with == version_) texts_.keep(text, {embedding.begin(), embedding.end()});
}

}  // namespace vlalign
