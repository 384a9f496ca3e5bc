// What SiglipModel shares with CLIPModel.
#pragma once

#include "model/peers/hugging_face_family.hpp"

namespace vlalign {

NamingSchemes hugging_face_clip_schemes(const ModelConfig& config);

/// The towers as their own configs say them. Pictures have image_size_of(section, 224).
VitConfig hugging_face_clip_vit(JsonSection& vision);
TextConfig hugging_face_clip_text(JsonSection& text);
VitConfig hugging_face_siglip_vit(JsonSection& vision);
TextConfig hugging_face_siglip_text(JsonSection& text);

/// SiglipModel's names of both towers.
NamingSchemes hugging_face_siglip_schemes();

/// Throws Error unless both towers are plain ones: those that transformers builds.
void check_plain(const ModelConfig& config);

}  // namespace vlalign
