// What SiglipModel, MetaClip2Model and ChineseCLIPModel share with CLIPModel.
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

/// CLIPConfig's old spelling of a section beside the new one: where "text_config_dict" is given, it and the defaults of
/// its class stand for "text_config", whatever that says.
JsonSection old_or_new_section(JsonSection& root, const char* key);

/// Throws Error unless the image tower and the scale are plain ones: those that transformers builds.
void check_plain_vision(const ModelConfig& config);

/// The same of both towers.
void check_plain(const ModelConfig& config);

}  // namespace vlalign
