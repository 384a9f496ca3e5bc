// Whether a module is the model that a config and a tokenizer speak of. Internal.
#pragma once

#include "vlalign/config/model_config.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

/// Throws Error naming the first number that disagrees: the embedding dimension, and of towers whose tables show it the
/// image size, the context length and the vocabulary. Towers of one's own check their input themselves.
void check_fits(const nn::DualEncoderImpl& module, const ModelConfig& config, const Tokenizer& tokenizer);

}  // namespace vlalign
