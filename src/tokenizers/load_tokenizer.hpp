// Finds out which tokenizer a folder holds.
#pragma once

#include <filesystem>
#include <memory>

#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

/// Whose ids a folder's tokenizer gives.
enum class TokenizerPeer {
  open_clip,     ///< by the folder's open_clip_config.json
  hugging_face,  ///< transformers' AutoTokenizer in a model's folder: no key of ours counts
  none,          ///< the tokenizer of no model: transformers', unless it is ours and names a cleaning
};

/// load_tokenizer() of a folder whose peer is known.
std::shared_ptr<const Tokenizer> load_tokenizer_of(const std::filesystem::path& folder, TokenizerPeer peer);

/// The file by which a folder is known to hold a tokenizer; empty where it holds none.
std::filesystem::path tokenizer_file_in(const std::filesystem::path& folder);

/// Whether load_tokenizer would find a tokenizer's files in the folder.
bool holds_tokenizer(const std::filesystem::path& folder);

}  // namespace vlalign
