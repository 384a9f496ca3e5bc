#include "data/loading/image_cache.hpp"

#include <utility>

namespace vlalign {

std::shared_ptr<const Image> ImageCache::find(std::int64_t record) const {
  const std::lock_guard lock(mutex_);
  const auto found = images_.find(record);
  return found == images_.end() ? nullptr : found->second;
}

void ImageCache::add(std::int64_t record, std::shared_ptr<const Image> image) {
  constexpr std::int64_t bookkeeping = 128;
  const auto bytes = static_cast<std::int64_t>(image->rgb.capacity()) + bookkeeping;
  const std::lock_guard lock(mutex_);
  if (bytes <= free_bytes_ && images_.emplace(record, std::move(image)).second) free_bytes_ -= bytes;
}

}  // namespace vlalign
