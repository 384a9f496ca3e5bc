// timm's ViTs of DINOv2 (Oquab et al. 2024), with registers or without.
#include <array>

#include "config/config_fields.hpp"
#include "core/check.hpp"
#include "model/peers/timm_dino.hpp"
#include "model/peers/timm_vit_schemes.hpp"

namespace vlalign {
namespace {

/// timm makes the table for pictures of 518 px, whatever size they have.
constexpr std::int64_t usual_dinov2_side = 37;
/// What open_clip's main branch hands on to timm: pictures of the table's size, and whether it is resized to others'.
constexpr auto kwargs_key = "timm_model_kwargs";
constexpr auto size_kwarg = "img_size", resized_kwarg = "dynamic_img_size";

VitConfig dinov2(std::int64_t width, std::int64_t layers, bool registers) {
  auto vit = dinov2_vit();
  vit.width = width, vit.layers = layers;
  vit.position_side = usual_dinov2_side;
  if (width == 1536) vit.mlp_ratio = 4096.0 / 1536, vit.activation = Activation::silu;
  if (width == 1536) vit.block.mlp = BlockConfig::Mlp::gated;
  if (registers) vit.registers = 4, vit.class_position = false;
  return vit;
}

std::span<const TimmTower> towers_timm_dinov2() {
  static const std::array all{TimmTower{"vit_small_patch14_dinov2", dinov2(384, 12, false)},
                              TimmTower{"vit_base_patch14_dinov2", dinov2(768, 12, false)},
                              TimmTower{"vit_large_patch14_dinov2", dinov2(1024, 24, false)},
                              TimmTower{"vit_giant_patch14_dinov2", dinov2(1536, 40, false)},
                              TimmTower{"vit_small_patch14_reg4_dinov2", dinov2(384, 12, true)},
                              TimmTower{"vit_base_patch14_reg4_dinov2", dinov2(768, 12, true)},
                              TimmTower{"vit_large_patch14_reg4_dinov2", dinov2(1024, 24, true)},
                              TimmTower{"vit_giant_patch14_reg4_dinov2", dinov2(1536, 40, true)}};
  return all;
}

std::optional<VisionConfig> read_timm_dinov2(std::string_view name, JsonSection& vision) {
  const auto* tower = find_tower(towers_timm_dinov2(), name);
  if (!tower) return {};
  auto vit = dino_as_described(std::get<VitConfig>(tower->vision), name, vision);
  const auto projection = vision.get<std::string>("timm_proj", vision.is_null("timm_proj") ? "" : "linear");
  check(vit.pool == VitConfig::Pool::token || projection == "linear" || projection == "mlp",
        "{}.timm_pool: avg is built here with timm_proj linear or mlp", vision.where());
  vit.position_side = vision.positive(dinov2_side_key, usual_dinov2_side);
  if (vision.has(kwargs_key)) {
    auto kwargs = vision.section(kwargs_key);
    vit.position_side = kwargs.positive(size_kwarg, vit.position_side * vit.patch_size) / vit.patch_size;
    kwargs.ignore({resized_kwarg});
    kwargs.finish();
  }
  const auto resize = vision.get<std::string>(dinov2_resize_key, "bicubic_antialiased");
  check(resize == "bicubic_antialiased" || resize == "bicubic", "{}.{}: bicubic_antialiased or bicubic, got {}",
        vision.where(), dinov2_resize_key, resize);
  if (resize == "bicubic") vit.position_resize = VitConfig::PositionResize::bicubic;
  return vit;
}

std::optional<nlohmann::json> write_timm_dinov2(const VisionConfig& vision, int image_size) {
  const auto* vit = std::get_if<VitConfig>(&vision);
  if (!vit || vit->position_resize == VitConfig::PositionResize::bilinear_antialiased) return {};
  auto usual = *vit;
  usual.position_side = usual_dinov2_side;
  usual.position_resize = VitConfig::PositionResize::bicubic_antialiased;
  auto out = dino_description(towers_timm_dinov2(), usual);
  if (!out) return {};
  const auto pictures = image_size / vit->patch_size;
  const auto side = vit->position_side > 0 ? vit->position_side : pictures;
  if (side != usual_dinov2_side) (*out)[kwargs_key][size_kwarg] = side * vit->patch_size;
  if (side != pictures) (*out)[kwargs_key][resized_kwarg] = true;
  // timm knows no other way than its own.
  if (vit->position_resize == VitConfig::PositionResize::bicubic) (*out)[dinov2_resize_key] = "bicubic";
  return out;
}

NamingSchemes schemes_timm_dinov2(const VisionConfig& vision) { return timm_vit_schemes(std::get<VitConfig>(vision)); }

}  // namespace

const TimmFamily timm_dinov2_family{"DINOv2's ViTs", read_timm_dinov2, write_timm_dinov2, schemes_timm_dinov2,
                                    "visual.trunk.head."};

}  // namespace vlalign
