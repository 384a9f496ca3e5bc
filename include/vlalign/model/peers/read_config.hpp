#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "vlalign/config/model_config.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

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

/// The model with the text tower of such a folder, or of a whole model's, in place of its own, for texts of another
/// length where one is given: a longer table of positions is kept, another resized. Its vocabulary is the folder's,
/// with all rows of the table, and its projection goes from the tower's width. It is open_clip's where open_clip has
/// such a tower. DualEncoder::load_text_tower() then reads the weights.
VLALIGN_EXPORT ModelConfig with_text_tower(ModelConfig config, const std::filesystem::path& folder,
                                           std::optional<std::int64_t> context_length = {});
/// The tokenizer that the folder brings.
VLALIGN_EXPORT std::shared_ptr<const Tokenizer> text_tower_tokenizer(const std::filesystem::path& folder);

/// An image tower that stands alone, and how its pictures are prepared.
struct ImageTowerConfig {
  VisionConfig vision{};
  Preprocess preprocess{};
};

/// Of a folder that transformers wrote (model_type dinov2, dinov2_with_registers, dinov3_vit, dinov3_convnext,
/// clip_vision_model, siglip_vision_model, vit or theia) or timm (config.json with "architecture"), or of a file of
/// tensors
/// (.safetensors), whose names and shapes say all: torchvision's ResNet, R3M, VIP, LIV or Theia. Throws Error naming
/// file and key for what isn't built here.
VLALIGN_EXPORT ImageTowerConfig read_image_config(const std::filesystem::path& path);

/// The model with that image tower in place of its own, its pictures prepared as the tower's are, at another size where
/// one is given, and a projection from the tower's width. A file with the network that the model has, or the folder of
/// a whole model, changes the size alone. DualEncoder::load_image_tower() then reads the weights.
VLALIGN_EXPORT ModelConfig with_image_tower(ModelConfig config, const std::filesystem::path& path,
                                            std::optional<int> image_size = {});

}  // namespace vlalign
