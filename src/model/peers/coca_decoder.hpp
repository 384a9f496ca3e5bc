// CoCa's text decoder (Yu et al. 2022), which writes captions. It plays no part in the joint space: its tensors are
// kept beside the towers as they were read, and written back.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/json/json_section.hpp"
#include "vlalign/core/io/safetensors.hpp"

namespace vlalign {

/// open_clip's "multimodal_cfg" as text; empty where there is none.
std::string decoder_config(JsonSection& model);

/// Copies of the decoder's tensors, under open_clip's names, in their own dtype.
NamedTensors decoder_tensors(const NamedTensors& model);
/// All but them.
NamedTensors without_decoder(const NamedTensors& model);

/// Throws Error, naming the first tensor, unless both have the same names and shapes.
void check_same_decoder(const NamedTensors& ours, const NamedTensors& theirs, const std::string& where);

}  // namespace vlalign
