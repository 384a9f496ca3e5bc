// transformers' whole models.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "core/json/json_section.hpp"
#include "model/peers/peer_names.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// One family of them. Its file adds it to hugging_face_families().
struct HuggingFaceFamily {
  std::string_view model_type;
  std::string_view processor;  ///< of pictures, where no file names one, without "ImageProcessor"
  bool any_size;               ///< pictures may have another size than the config's image_size
  void (*read)(JsonSection& root, ModelConfig& config);
  /// Whether a model would be of this family; write() may still refuse it.
  bool (*holds)(const ModelConfig& config);
  /// Throws Error, saying which part transformers has no model for.
  nlohmann::json (*write)(const ModelConfig& config);
  NamingSchemes (*schemes)(const ModelConfig& config);
};

std::span<const HuggingFaceFamily* const> hugging_face_families();

/// The first that holds the model. Throws Error where none does.
const HuggingFaceFamily& hugging_face_family_of(const ModelConfig& config);

/// Our names of blocks as CLIPModel, SiglipModel and others have them.
const Renames& hugging_face_blocks();
const Renames& hugging_face_embeddings();
/// Queries, keys and values, each under a name of its own: ".self_attn.q_proj." and so on.
const Fused& hugging_face_qkv();

// The families, each in its own file.
extern const HuggingFaceFamily hugging_face_clip, hugging_face_siglip, hugging_face_siglip2, hugging_face_align,
    hugging_face_metaclip_2, hugging_face_chinese_clip;

}  // namespace vlalign
