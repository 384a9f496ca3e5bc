// Embeddings of pictures of which perhaps none can be read. Internal.
#pragma once

#include <cstdint>
#include <functional>

#include "vlalign/eval/embed.hpp"

namespace vlalign {

/// As embed_images(), and where no picture could be read `image` is undefined and `bad` says why of each.
ImageEmbeddings embed_readable_images(const DualEncoder& model, std::int64_t count,
                                      const std::function<Image(std::int64_t)>& read, const EmbedOptions& options);

}  // namespace vlalign
