#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "vlalign/config/model_config.hpp"
#include "vlalign/core/export.hpp"

namespace vlalign {

/// Reads a model's JSON: open_clip's model config ({"embed_dim", "vision_cfg", "text_cfg"}), a model folder's
/// open_clip_config.json ({"model_cfg", "preprocess_cfg"}), or transformers' config.json ({"model_type": "clip",
/// "metaclip_2", "chinese_clip", "siglip" or "align"}), with preprocessor_config.json beside it. Throws Error naming
/// the file and the key that is missing, wrong or asks for something this library does not build.
VLALIGN_EXPORT ModelConfig read_model_config(const std::filesystem::path& file);

/// The text of an open_clip_config.json for a model.
VLALIGN_EXPORT std::string to_open_clip_json(const ModelConfig& config);

/// The text tower of a folder that transformers wrote (config.json of model_type bert, roberta, xlm-roberta, gpt2, t5,
/// mt5, m2m_100, clip_text_model or siglip_text_model), or sentence-transformers, whose pooling and longest text it
/// then has.
VLALIGN_EXPORT TextConfig read_text_config(const std::filesystem::path& folder);

/// An image tower that stands alone, and how its pictures are prepared.
struct ImageTowerConfig {
  VisionConfig vision{};
  Preprocess preprocess{};
};

/// Of a folder that transformers wrote (model_type dinov2, dinov2_with_registers, dinov3_vit, dinov3_convnext, clip_vision_model,
/// siglip_vision_model, vit or theia) or timm (config.json with "architecture"), or of a file of tensors
/// (.safetensors), whose names and shapes say all: torchvision's ResNet, R3M, VIP, LIV or Theia. Throws Error naming
/// file and key for what isn't built here.
VLALIGN_EXPORT ImageTowerConfig read_image_config(const std::filesystem::path& path);

/// The model with that image tower in place of its own, its pictures prepared as the tower's are, at another size where
/// one is given, and a projection from the tower's width. A file with the network that the model has, or the folder of
/// a whole model, changes the size alone. DualEncoder::load_image_tower() then reads the weights.
VLALIGN_EXPORT ModelConfig with_image_tower(ModelConfig config, const std::filesystem::path& path,
                                            std::optional<int> image_size = {});

}  // namespace vlalign
