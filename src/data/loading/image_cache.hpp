// Decoded pictures kept in memory, shared by threads.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "vlalign/image/image.hpp"

namespace vlalign {

/// Keeps the first pictures that fit and drops none: an epoch reads every record once, so a cache that evicts and is
/// smaller than the data would hardly ever hit.
class ImageCache {
 public:
  explicit ImageCache(std::int64_t megabytes) : free_bytes_(megabytes << 20) {}

  /// The record's picture, or null.
  std::shared_ptr<const Image> find(std::int64_t record) const;
  /// Keeps the picture if there is room for it.
  void add(std::int64_t record, std::shared_ptr<const Image> image);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::int64_t, std::shared_ptr<const Image>> images_;
  std::int64_t free_bytes_;
};

}  // namespace vlalign
