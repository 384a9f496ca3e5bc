// timm's own VisionTransformer where CLIP models name it: CLIP's ViTs as timm builds them (MobileCLIP2-L's among them)
// and ViTs without a class token.
#include <array>

#include "core/check.hpp"
#include "model/peers/timm_family.hpp"
#include "model/peers/timm_vit_list.hpp"
#include "model/peers/timm_vit_schemes.hpp"

namespace vlalign {
namespace {

struct ClipSize {
  std::int64_t patch_size, width, layers, heads;
  double mlp_ratio = 4;
  Activation activation = Activation::gelu;
};

VitConfig clip_vit(const ClipSize& size) {
  return {.patch_size = size.patch_size,
          .width = size.width,
          .layers = size.layers,
          .head_width = size.width / size.heads,
          .mlp_ratio = size.mlp_ratio,
          .activation = size.activation};
}

VitConfig medium_vit() {
  return {.patch_size = 16,
          .width = 512,
          .layers = 12,
          .norm_eps = 1e-6,
          .pool = VitConfig::Pool::average,
          .class_token = false,
          .patch_bias = true,
          .ln_pre = false,
          .layer_scale = 1e-6,
          .block = {.qkv_bias = BlockConfig::QkvBias::none}};
}

std::span<const TimmTower> towers_timm_vit() {
  constexpr auto quick = Activation::quick_gelu;
  static const std::array all{
      TimmTower{"vit_xsmall_patch16_clip_224", clip_vit({16, 256, 10, 4})},
      TimmTower{"vit_medium_patch32_clip_224", clip_vit({32, 512, 12, 8})},
      TimmTower{"vit_medium_patch16_clip_224", clip_vit({16, 512, 12, 8})},
      TimmTower{"vit_betwixt_patch32_clip_224", clip_vit({32, 640, 12, 10})},
      TimmTower{"vit_base_patch32_clip_224", clip_vit({32, 768, 12, 12})},
      TimmTower{"vit_base_patch32_clip_256", clip_vit({32, 768, 12, 12})},
      TimmTower{"vit_base_patch32_clip_384", clip_vit({32, 768, 12, 12})},
      TimmTower{"vit_base_patch16_clip_224", clip_vit({16, 768, 12, 12})},
      TimmTower{"vit_base_patch16_clip_384", clip_vit({16, 768, 12, 12})},
      TimmTower{"vit_large_patch14_clip_224", clip_vit({14, 1024, 24, 16})},
      TimmTower{"vit_large_patch14_clip_336", clip_vit({14, 1024, 24, 16})},
      TimmTower{"vit_huge_patch14_clip_224", clip_vit({14, 1280, 32, 16})},
      TimmTower{"vit_huge_patch14_clip_336", clip_vit({14, 1280, 32, 16})},
      TimmTower{"vit_giant_patch14_clip_224", clip_vit({14, 1408, 40, 16, 48.0 / 11})},
      TimmTower{"vit_gigantic_patch14_clip_224", clip_vit({14, 1664, 48, 16, 64.0 / 13})},
      TimmTower{"vit_base_patch32_clip_quickgelu_224", clip_vit({32, 768, 12, 12, 4, quick})},
      TimmTower{"vit_base_patch16_clip_quickgelu_224", clip_vit({16, 768, 12, 12, 4, quick})},
      TimmTower{"vit_large_patch14_clip_quickgelu_224", clip_vit({14, 1024, 24, 16, 4, quick})},
      TimmTower{"vit_large_patch14_clip_quickgelu_336", clip_vit({14, 1024, 24, 16, 4, quick})},
      TimmTower{"vit_medium_patch16_gap_256", medium_vit()},
  };
  return all;
}

std::optional<VisionConfig> read_timm_vit_tower(std::string_view name, JsonSection& vision) {
  auto tower = read_timm_vit(towers_timm_vit(), name, vision);
  if (!tower) return {};
  const auto* proj = vision.find("timm_proj");
  const bool bare = vision.is_null("timm_proj") || (proj && *proj == "") || vision.get("timm_proj_bias", false);
  check(
      !std::get<VitConfig>(*tower).class_token || bare || (proj && *proj != "linear"),
      "{}.timm_proj: {} is built here with null, \"mlp\" or \"none\"; with a linear head and no bias name open_clip's "
      "own ViT, which computes the same",
      vision.where(), name);
  return tower;
}

std::optional<nlohmann::json> write_timm_vit_tower(const VisionConfig& vision, int image_size) {
  return write_timm_vit(towers_timm_vit(), vision, image_size);
}

NamingSchemes schemes_timm_vit(const VisionConfig& vision) { return timm_vit_schemes(std::get<VitConfig>(vision)); }

}  // namespace

const TimmFamily timm_vit_family{"CLIP's ViTs", read_timm_vit_tower, write_timm_vit_tower, schemes_timm_vit,
                                 "visual.trunk.head."};

}  // namespace vlalign
