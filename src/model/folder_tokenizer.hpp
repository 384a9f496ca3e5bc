// The tokenizer of a model folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "vlalign/data/tokenizer.hpp"
#include "vlalign/model/config.hpp"

namespace vlalign {

/// CLIP's own, out of the shared files.
std::shared_ptr<const Tokenizer> clip_tokenizer();

/// CLIP's own vocabulary, which open_clip needs no files for.
bool is_clips(const Tokenizer& tokenizer);

/// What open_clip's config calls the cleaning of a tokenizer; empty for the usual one.
std::string open_clip_cleaning(const Tokenizer& tokenizer);

/// The folder's own; CLIP's where it holds no tokenizer files, as open_clip's own models do. Throws Error where there
/// is none for the text tower's vocabulary.
std::shared_ptr<const Tokenizer> folder_tokenizer(const std::filesystem::path& folder, const TextConfig& text);

/// Throws Error, `where` in front, when a text tower has too few rows for a tokenizer, pools at another token than its
/// end, or fills texts up with another token than it.
void check_fits(const Tokenizer& tokenizer, const TextConfig& text, const std::string& where);

/// Writes a tokenizer beside the config files of a model folder and reads it back. Throws Error when what comes back
/// has another vocabulary, pad or end token, or gives other ids for some captions of all kinds.
void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& folder, const TextConfig& text);

}  // namespace vlalign
