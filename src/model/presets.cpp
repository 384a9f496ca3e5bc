// The named models as data. Sizes as in open_clip's model_configs; "tiny" is the quick start's own.
#include "vlalign/model/presets.hpp"

#include <array>
#include <string>

#include "core/check.hpp"
#include "model/peers/timm_names.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign {
namespace {

struct ResNetPreset {
  const char* name;
  int image_size;
  std::int64_t embed_dim;
  ModifiedResNetConfig vision;
  TextConfig text;
};

struct VitPreset {
  const char* name;
  int image_size;
  std::int64_t embed_dim;
  VitConfig vision;
  TextConfig text;
};

const auto& resnets() {
  static const std::array all{
      ResNetPreset{"RN50", 224, 1024, {.layers = {3, 4, 6, 3}, .width = 64}, {.width = 512, .heads = 8}},
      ResNetPreset{"RN101", 224, 512, {.layers = {3, 4, 23, 3}, .width = 64}, {.width = 512, .heads = 8}},
      ResNetPreset{"RN50x4", 288, 640, {.layers = {4, 6, 10, 6}, .width = 80}, {.width = 640, .heads = 10}},
      ResNetPreset{"RN50x16", 384, 768, {.layers = {6, 8, 18, 8}, .width = 96}, {.width = 768, .heads = 12}},
      ResNetPreset{"RN50x64", 448, 1024, {.layers = {3, 15, 36, 10}, .width = 128}, {.width = 1024, .heads = 16}},
  };
  return all;
}

const auto& vits() {
  static const std::array all{
      VitPreset{"ViT-S-32", 224, 384, {.patch_size = 32, .width = 384}, {.width = 384, .heads = 6}},
      VitPreset{"ViT-S-16", 224, 384, {.patch_size = 16, .width = 384}, {.width = 384, .heads = 6}},
      VitPreset{"ViT-B-32", 224, 512, {.patch_size = 32, .width = 768}, {.width = 512, .heads = 8}},
      VitPreset{"ViT-B-16", 224, 512, {.patch_size = 16, .width = 768}, {.width = 512, .heads = 8}},
      VitPreset{"ViT-L-14", 224, 768, {.patch_size = 14, .width = 1024, .layers = 24}, {.width = 768, .heads = 12}},
      VitPreset{"ViT-L-14-336", 336, 768, {.patch_size = 14, .width = 1024, .layers = 24}, {.width = 768, .heads = 12}},
      VitPreset{"ViT-H-14",
                224,
                1024,
                {.patch_size = 14, .width = 1280, .layers = 32, .head_width = 80},
                {.width = 1024, .heads = 16, .layers = 24}},
  };
  return all;
}

constexpr std::string_view quick_suffix = "-quickgelu";

/// The sizes with CLIP's text tower and vocabulary, which OpenAI trained with the quick GELU.
bool has_quick_variant(const ModelConfig& config) { return !config.text.own_vocabulary; }

ModelConfig tiny() {
  ModelConfig config;
  config.name = "tiny";
  config.embed_dim = 256;
  config.vision = ModifiedResNetConfig{.layers = {1, 1, 1, 1}, .width = 32};
  config.image_projection.bias = true;
  config.text = {
      .context_length = 32, .vocab_size = 2048, .width = 192, .heads = 3, .layers = 2, .own_vocabulary = true};
  config.preprocess.image_size = 64;
  return config;
}

template <typename Preset>
ModelConfig config_of(const Preset& preset) {
  ModelConfig config;
  config.name = preset.name;
  config.embed_dim = preset.embed_dim;
  config.vision = preset.vision;
  config.text = preset.text;
  config.image_projection.bias = std::is_same_v<Preset, ResNetPreset>;  // the attention pool's output layer
  config.preprocess.image_size = preset.image_size;
  return config;
}

ModelConfig siglip(const char* name, const char* tower, int image_size, std::int64_t context_length) {
  ModelConfig config;
  config.name = name;
  config.custom_text = true;
  const auto vit = *timm_siglip(tower);
  config.vision = vit;
  config.embed_dim = vit.width;
  config.text = {.context_length = context_length,
                 .vocab_size = 32000,
                 .width = vit.width,
                 .heads = vit.width / vit.head_width,
                 .layers = vit.layers,
                 .mlp_ratio = vit.mlp_ratio,
                 .activation = vit.activation,
                 .norm_eps = vit.norm_eps,
                 .pool = TextConfig::Pool::last,
                 .causal = false,
                 .pad_id = 1,

                 .own_vocabulary = true};
  config.image_projection.present = false;
  config.text_projection.bias = true;
  config.scale = {.temperature = false, .initial = 10.0, .bias = -10.0};
  config.preprocess = {
      .image_size = image_size, .resize = Preprocess::Resize::squash, .mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}};
  return config;
}

/// kakaobrain's base model: EfficientNet-B7 and BERT-base.
ModelConfig align_base() {
  ModelConfig config;
  config.name = "align-base";
  config.layout = Layout::hugging_face;
  config.embed_dim = 640;
  config.vision = EfficientNetConfig{.width_coefficient = 2.0, .depth_coefficient = 3.1, .hidden_dim = 2560};
  config.text = {.architecture = TextConfig::Architecture::bert,
                 .context_length = 512,
                 .vocab_size = 30522,
                 .width = 768,
                 .heads = 12,
                 .norm_eps = 1e-12,
                 .pool = TextConfig::Pool::first,
                 .causal = false,

                 .pooler = true,
                 .own_vocabulary = true};
  config.image_projection.present = false;
  config.text_projection.bias = true;
  config.scale = {.temperature = true, .initial = 1.0};
  config.preprocess = {.image_size = 289,
                       .resize_size = 346,
                       .resize = Preprocess::Resize::squash,
                       .crop_rounds_down = true,
                       .mean = {0.5, 0.5, 0.5},
                       .std = {0.5, 0.5, 0.5}};
  return config;
}

std::vector<ModelConfig> all_presets() {
  std::vector<ModelConfig> all{tiny()};
  for (const auto& preset : resnets()) all.push_back(config_of(preset));
  for (const auto& preset : vits()) all.push_back(config_of(preset));
  all.push_back(siglip("ViT-B-16-SigLIP", "vit_base_patch16_siglip_224", 224, 64));
  all.push_back(siglip("ViT-L-16-SigLIP-256", "vit_large_patch16_siglip_256", 256, 64));
  all.push_back(siglip("ViT-SO400M-14-SigLIP", "vit_so400m_patch14_siglip_224", 224, 16));
  all.push_back(align_base());
  return all;
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& config : all_presets()) {
    names.push_back(config.name);
    if (has_quick_variant(config)) names.push_back(config.name + std::string(quick_suffix));
  }
  return names;
}

ModelConfig preset(std::string_view name) {
  const bool quick = name.ends_with(quick_suffix);
  const auto base = quick ? name.substr(0, name.size() - quick_suffix.size()) : name;
  for (auto& config : all_presets()) {
    if (config.name != base || (quick && !has_quick_variant(config))) continue;
    config.name = name;
    if (!quick) return config;
    config.text.activation = Activation::quick_gelu;
    if (auto* vit = std::get_if<VitConfig>(&config.vision)) vit->activation = Activation::quick_gelu;
    return config;
  }
  fail("unknown model \"{}\": it is a .json file or one of {}", name, fmt::join(preset_names(), ", "));
}

}  // namespace vlalign
