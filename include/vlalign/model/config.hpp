#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vlalign/data/transform.hpp"

namespace vlalign {

/// Vision Transformer (Dosovitskiy et al. 2021, as CLIP changes it: class token, ln_pre, no bias in the patch
/// embedding).
struct VitConfig {
  std::int64_t patch_size = 32;
  std::int64_t width = 768;
  std::int64_t layers = 12;
  std::int64_t head_width = 64;  ///< heads = width / head_width
  double mlp_ratio = 4.0;
};

/// CLIP's ModifiedResNet (Radford et al. 2021, section 2.4): three-convolution stem, antialiased strides, attention
/// pooling.
struct ResNetConfig {
  std::vector<std::int64_t> layers{3, 4, 6, 3};  ///< bottleneck blocks a stage
  std::int64_t width = 64;                       ///< channels after the stem; the pooled features have 32 times as many
  std::int64_t head_width = 64;                  ///< heads of the attention pool = 32 * width / head_width
};

/// CLIP's causal text Transformer, pooled at the end token.
struct TextConfig {
  std::int64_t context_length = 77;
  std::int64_t vocab_size = 49408;
  std::int64_t width = 512;
  std::int64_t heads = 8;
  std::int64_t layers = 12;
  double mlp_ratio = 4.0;
  bool own_vocabulary = false;  ///< not CLIP's 49,408 entries: the tokenizer's files are part of the model folder
};

/// Towers brought by the user: their code is needed beside the folder to read the model again.
struct OwnTowers {};

/// Everything that decides what a model computes, the weights aside.
struct ModelConfig {
  std::string name{};  ///< the preset's name, or the file's stem
  std::int64_t embed_dim = 512;
  bool quick_gelu = false;  ///< x * sigmoid(1.702 x) instead of the exact GELU: OpenAI's weights need it
  std::variant<VitConfig, ResNetConfig, OwnTowers> vision{};
  TextConfig text{};
  Preprocess preprocess{};  ///< preprocess.image_size is the towers' image size
};

/// The named models, sizes as in open_clip's model_configs: "RN50", "ViT-B-32", "ViT-B-32-quickgelu", ..., and "tiny".
std::vector<std::string> preset_names();

/// Throws Error listing the presets when there is none of that name.
ModelConfig preset(std::string_view name);

/// Reads open_clip's JSON: a model config ({"embed_dim", "vision_cfg", "text_cfg"}) or a model folder's
/// open_clip_config.json ({"model_cfg", "preprocess_cfg"}). Throws Error naming the file and the key that is missing,
/// wrong or asks for something this library does not build.
ModelConfig read_model_config(const std::filesystem::path& file);

/// The text of an open_clip_config.json for a model.
std::string to_open_clip_json(const ModelConfig& config);

}  // namespace vlalign
