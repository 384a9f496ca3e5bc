// What SiglipModel shares with CLIPModel.
#pragma once

#include "model/peers/hugging_face_family.hpp"

namespace vlalign {

NamingSchemes hugging_face_clip_schemes(const ModelConfig& config);

/// Throws Error unless both towers are plain ones: those that transformers builds.
void check_plain(const ModelConfig& config);

}  // namespace vlalign
