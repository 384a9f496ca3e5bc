// The tokenizer of a model folder.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "vlalign/config/model_config.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

/// CLIP's own, out of the shared files.
std::shared_ptr<const Tokenizer> clip_tokenizer();

/// CLIP's own vocabulary, which open_clip needs no files for.
bool is_clips(const Tokenizer& tokenizer);

/// What the config says of a tokenizer that its layout's peer uses: whose vocabulary, and in open_clip's how a caption
/// is cleaned.
void describe_tokenizer(const Tokenizer& tokenizer, Layout layout, TextConfig& text);

/// A tokenizer as the peer of a layout uses its files: open_clip cleans captions as tokenizer_kwargs.clean says, CLIP's
/// own vocabulary with its SimpleTokenizer and others behind transformers', which cleans them in no such way. One of
/// the user's own class stays as it is. text: of the model's config, which says whose vocabulary it is, and the
/// cleaning of a tokenizer that has none of open_clip's yet. pad_id: the token that a text tower has to be filled up
/// with; by default the peer's own.
std::shared_ptr<const Tokenizer> as_peer_uses_it(std::shared_ptr<const Tokenizer> tokenizer, Layout layout,
                                                 const TextConfig& text, std::optional<std::int64_t> pad_id = {});

/// A caption of all kinds for which two tokenizers give other ids; none where they agree.
std::optional<std::string> differing_caption(const Tokenizer& a, const Tokenizer& b);

/// The folder's own; CLIP's where it holds no tokenizer files, as open_clip's own models do. Throws Error where there
/// is none for the text tower's vocabulary.
std::shared_ptr<const Tokenizer> folder_tokenizer(const std::filesystem::path& folder, const TextConfig& text,
                                                  Layout layout);

/// Throws Error, `where` in front, when a text tower has too few rows for a tokenizer, pools at another token than its
/// end, or fills texts up with another token than it.
void check_fits(const Tokenizer& tokenizer, const TextConfig& text, const std::string& where);

/// Writes a tokenizer beside the config files of a model folder and reads it back. Throws Error when what comes back
/// has another vocabulary, pad or end token, or gives other ids for some captions of all kinds.
void save_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& folder, const TextConfig& text,
                    Layout layout);

}  // namespace vlalign
