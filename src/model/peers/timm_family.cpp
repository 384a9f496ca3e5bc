#include "model/peers/timm_family.hpp"

#include <algorithm>
#include <array>

#include "config/config_fields.hpp"
#include "core/check.hpp"

namespace vlalign {
namespace {

bool same(const VisionConfig& a, const VisionConfig& b) {
  ModelConfig x, y;
  x.vision = a, y.vision = b;
  return !first_difference(x, y);
}

/// What open_clip's own ViT holds: its projection has no bias and is none of timm's.
bool is_open_clips_own(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const auto& projection = config.image_projection;
  const bool plain_projection =
      projection.present && !projection.bias && !projection.of_tower && projection.hidden == 0;
  return vit && fits_open_clips_vit(*vit) && plain_projection;
}

}  // namespace

bool fits_open_clips_vit(const VitConfig& vit) {
  const auto& block = vit.block;
  const BlockConfig usual;
  const bool tokens = vit.class_token && vit.class_position && !vit.patch_bias && !vit.rotary && vit.registers == 0 &&
                      vit.position_side == 0 && vit.front == VitConfig::Front::patches &&
                      vit.pool != VitConfig::Pool::attention;
  return tokens && block.norm == usual.norm && block.placement == usual.placement && block.mlp == usual.mlp &&
         block.qkv_bias == usual.qkv_bias;
}

std::span<const TimmFamily* const> timm_families() {
  static constexpr std::array all{&timm_naflex_family,  &timm_siglip_family,   &timm_resnet_family,
                                  &timm_eva_family,     &timm_dinov2_family,   &timm_dinov3_family,
                                  &timm_vit_family,     &timm_convnext_family, &timm_fastvit_family,
                                  &timm_vitamin_family, &timm_mci_family};
  return all;
}

const TimmFamily* timm_family_of(const ModelConfig& config) {
  if (is_open_clips_own(config)) return nullptr;
  const auto families = timm_families();
  const auto found = std::find_if(families.begin(), families.end(), [&](const auto* family) {
    return family->write(config.vision, config.preprocess.image_size).has_value();
  });
  return found == families.end() ? nullptr : *found;
}

const TimmTower* find_tower(std::span<const TimmTower> towers, std::string_view name) {
  const auto found = std::find_if(towers.begin(), towers.end(), [&](const auto& tower) { return tower.name == name; });
  return found == towers.end() ? nullptr : &*found;
}

const TimmTower* find_tower(std::span<const TimmTower> towers, const VisionConfig& vision) {
  const auto found =
      std::find_if(towers.begin(), towers.end(), [&](const auto& tower) { return same(tower.vision, vision); });
  return found == towers.end() ? nullptr : &*found;
}

std::string pool_of_timm(JsonSection& vision, std::string_view name, std::span<const std::string_view> known) {
  const auto pool = vision.get<std::string>("timm_pool", "avg");
  check(std::find(known.begin(), known.end(), pool) != known.end(),
        "{}.timm_pool: {} is built here with \"{}\", got \"{}\"", vision.where(), name, fmt::join(known, "\" or \""),
        pool);
  return pool;
}

double drop_path_of(JsonSection& vision) { return vision.number_between("timm_drop_path", 0, 0, 0.999); }

void read_dropping(JsonSection& vision, VitConfig& vit) {
  vit.patch_dropout = vision.number_between("patch_dropout", 0, 0, 0.999);
  vit.block.drop_path = drop_path_of(vision);
}

void write_dropping(const VitConfig& vit, nlohmann::json& out) {
  if (vit.patch_dropout > 0) out["patch_dropout"] = vit.patch_dropout;
  if (vit.block.drop_path > 0) out["timm_drop_path"] = vit.block.drop_path;
}

VitConfig without_dropping(VitConfig vit) {
  vit.patch_dropout = vit.block.drop_path = 0;
  return vit;
}

}  // namespace vlalign
