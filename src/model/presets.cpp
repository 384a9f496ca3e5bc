// The named models as data. Sizes as in open_clip's model_configs; "tiny" is the quick start's own.
#include <array>
#include <string>

#include "core/check.hpp"
#include "vlalign/model/config.hpp"

namespace vlalign {
namespace {

struct ResNetPreset {
  const char* name;
  int image_size;
  std::int64_t embed_dim;
  ResNetConfig vision;
  TextConfig text;
};

struct VitPreset {
  const char* name;
  int image_size;
  std::int64_t embed_dim;
  VitConfig vision;
  TextConfig text;
};

const std::array resnets{
    ResNetPreset{"RN50", 224, 1024, {.layers = {3, 4, 6, 3}, .width = 64}, {.width = 512, .heads = 8}},
    ResNetPreset{"RN101", 224, 512, {.layers = {3, 4, 23, 3}, .width = 64}, {.width = 512, .heads = 8}},
    ResNetPreset{"RN50x4", 288, 640, {.layers = {4, 6, 10, 6}, .width = 80}, {.width = 640, .heads = 10}},
    ResNetPreset{"RN50x16", 384, 768, {.layers = {6, 8, 18, 8}, .width = 96}, {.width = 768, .heads = 12}},
    ResNetPreset{"RN50x64", 448, 1024, {.layers = {3, 15, 36, 10}, .width = 128}, {.width = 1024, .heads = 16}},
};

const std::array vits{
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

constexpr std::string_view quick_suffix = "-quickgelu";

ModelConfig tiny() {
  ModelConfig config;
  config.name = "tiny";
  config.embed_dim = 256;
  config.vision = ResNetConfig{.layers = {1, 1, 1, 1}, .width = 32};
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
  config.preprocess.image_size = preset.image_size;
  return config;
}

std::vector<ModelConfig> all_presets() {
  std::vector<ModelConfig> all{tiny()};
  for (const auto& preset : resnets) all.push_back(config_of(preset));
  for (const auto& preset : vits) all.push_back(config_of(preset));
  return all;
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& config : all_presets()) {
    names.push_back(config.name);
    if (config.name != "tiny") names.push_back(config.name + std::string(quick_suffix));
  }
  return names;
}

ModelConfig preset(std::string_view name) {
  const bool quick = name.ends_with(quick_suffix);
  const auto base = quick ? name.substr(0, name.size() - quick_suffix.size()) : name;
  for (auto& config : all_presets()) {
    if (config.name != base || (quick && base == "tiny")) continue;
    config.name = name;
    config.quick_gelu = quick;
    return config;
  }
  fail("unknown model \"{}\": it is a .json file or one of {}", name, fmt::join(preset_names(), ", "));
}

}  // namespace vlalign
