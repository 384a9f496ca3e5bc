// Embeddings of the texts that were asked for last. Internal.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "core/recent_texts.hpp"

namespace vlalign {

/// Forgets all when the weights they were made with have changed. Safe to use from several threads.
class KeptEmbeddings {
 public:
  /// most: 1 or more
  explicit KeptEmbeddings(std::int64_t most) : texts_(most) {}

  /// Whether the text's embedding is kept; then it is in `out`.
  ///   version: of the weights, as LiveWeights::version() gives it
  bool copy(std::string_view text, std::uint64_t version, std::span<float> out);

  void keep(std::string_view text, std::uint64_t made_with, std::span<const float> embedding);

 private:
  std::mutex mutex_;
  RecentTexts<std::vector<float>> texts_;
  std::uint64_t version_ = 0;  // of the weights that the texts were made with
};

}  // namespace vlalign
