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
  std::optional<std::int64_t> most_tokens{};     ///< the tokenizer's limit, for a tower that takes more; in place of it
};

/// Of a folder with modules.json around a tower of that width; nothing of another. Texts are as long as max_seq_length
/// says, and where that isn't written, as since version 6, as the tokenizer's model_max_length. Normalize is passed
/// over: every embedding here goes through it. Throws Error, naming file and key, for pooling and modules that are not
/// built here, in no order that makes sense, or outside the folder.
SentenceModules read_sentence_modules(const std::filesystem::path& folder, std::int64_t width);

}  // namespace vlalign
