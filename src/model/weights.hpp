// A model's tensors under the peers' names.
#pragma once

#include "vlalign/model/config.hpp"
#include "vlalign/model/safetensors.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {

/// All parameters and buffers, detached views, under the names and in the orientation of open_clip's CLIP class. A
/// model of own towers keeps this library's names.
NamedTensors open_clip_tensors(const nn::DualEncoderImpl& module, const ModelConfig& config);

/// Copies tensors so named into the module. `where` is what an error calls their source.
/// Throws one Error that lists every missing, extra or wrongly shaped tensor, and then has changed nothing.
void assign_open_clip_tensors(nn::DualEncoderImpl& module, const ModelConfig& config, const NamedTensors& tensors,
                              const std::string& where);

}  // namespace vlalign
