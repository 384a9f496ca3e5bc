// Folders of the sentence-transformers library: a text tower of transformers' and what follows it.
#pragma once

#include <filesystem>
#include <optional>

#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// What such a folder says beside its tower's config.json.
struct SentenceModules {
  std::optional<TextConfig::Pool> pool{};        ///< of its pooling module
  std::optional<std::int64_t> context_length{};  ///< the most tokens of a text
};

/// Of a folder with modules.json around a tower of that width; nothing of another. Normalize, which every embedding
/// here goes through, is passed over with a line of the log. Throws Error, naming file and key, for pooling and modules
/// that are not built here, in no order that makes sense, or outside the folder.
SentenceModules read_sentence_modules(const std::filesystem::path& folder, std::int64_t width);

}  // namespace vlalign
