// What a config may ask for. Every model is made through here, from a file's config or from the caller's own.
#pragma once

#include <string>

#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// Each throws Error, `where` in front, naming the field, what was expected and what came.
void validate(const VitConfig& config, std::int64_t image_size, std::int64_t embed_dim, const std::string& where);
/// Of the convolutions in place of a ViT's patch embedding.
void validate_front(const VitConfig& config, std::int64_t image_size, const std::string& where);
void validate(const BlockConfig& config, const std::string& where);
void validate(const ModifiedResNetConfig& config, std::int64_t image_size, const std::string& where);
void validate(const ResNetConfig& config, const std::string& where);
void validate(const EfficientNetConfig& config, std::int64_t image_size, const std::string& where);
void validate(const ConvNextConfig& config, std::int64_t image_size, const std::string& where);
void validate(const FastVitConfig& config, std::int64_t image_size, const std::string& where);
void validate(const TextConfig& config, const std::string& where);
void check_cleaning(const TextConfig& config, const std::string& where);

/// The whole of it. Towers of one's own are their author's: nothing is asked of their part, nor of the text's.
void validate(const ModelConfig& config, const std::string& where);

/// Of the text towers that mask padding.
void check_masked_text(const TextConfig& config, const std::string& where);

/// Whether a text tower masks padding: BERT's, T5's and NLLB's do.
bool is_masked_text(const TextConfig& config);

/// Rows of a text tower's table of learned positions.
std::int64_t position_rows(const TextConfig& config);
/// The same tower for texts of another length, its table of learned positions kept. Its position_rows are 0 again where
/// the table has a row for each place and none to spare.
TextConfig with_context(TextConfig config, std::int64_t context_length);
/// The tower for texts of a length that its user asks for. A table of BERT's that is long enough stays as it is;
/// another is to be resized to that length.
TextConfig with_asked_context(TextConfig config, std::int64_t context_length);

/// Whether what stands behind a text changes its feature.
bool depends_on_padding(const TextConfig& text);

/// Heads of a ViT's pooling by attention.
std::int64_t pool_heads(const VitConfig& config);

/// Channels of an EfficientNet's stage: scaled by the width coefficient, to a multiple of the divisor that is no more
/// than a tenth below.
std::int64_t scaled_channels(const EfficientNetConfig& config, std::int64_t channels);
/// Blocks of an EfficientNet's stage.
std::int64_t scaled_repeats(const EfficientNetConfig& config, std::int64_t repeats);
/// The side of the smallest picture of which an EfficientNet's strides leave a place.
std::int64_t smallest_image(const EfficientNetConfig& config);

}  // namespace vlalign
