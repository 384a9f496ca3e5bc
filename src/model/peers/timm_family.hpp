// The image towers that open_clip's configs name by timm's names.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/json/json_section.hpp"
#include "model/peers/peer_names.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// One family of them. Its file adds it to timm_families().
struct TimmFamily {
  std::string_view models;  ///< what an error says of them: "SigLIP's ViTs"
  /// The tower that a vision_cfg describes, whose timm_model_name is `name`; none where the name is another family's.
  /// Throws Error, naming the key, for what the family has and is not built here.
  std::optional<VisionConfig> (*read)(std::string_view name, JsonSection& vision);
  /// The keys that read() takes, timm_model_name and timm_pool among them; none where timm has no such tower.
  std::optional<nlohmann::json> (*write)(const VisionConfig& vision, int image_size);
  /// The first whose scope fits counts; our names begin with "visual.", timm's with "visual.trunk.".
  NamingSchemes (*schemes)(const VisionConfig& vision);
  std::string_view classifier;  ///< the projection that the tower itself has: "visual.trunk.head."
};

std::span<const TimmFamily* const> timm_families();

/// Whether open_clip's own ViT can have such tokens and blocks.
bool fits_open_clips_vit(const VitConfig& vit);

/// The family that writes such a tower; null where none does, or where open_clip builds the tower itself.
const TimmFamily* timm_family_of(const ModelConfig& config);

/// A tower of one name, for families that are a list of them.
struct TimmTower {
  std::string_view name;
  VisionConfig vision;
};
const TimmTower* find_tower(std::span<const TimmTower> towers, std::string_view name);
/// The tower with the same fields; the first of several.
const TimmTower* find_tower(std::span<const TimmTower> towers, const VisionConfig& vision);

/// open_clip's timm_pool, which must be one of `known`.
std::string pool_of_timm(JsonSection& vision, std::string_view name, std::span<const std::string_view> known);
double drop_path_of(JsonSection& vision);  ///< timm_drop_path

/// What a ViT leaves out while it trains: timm_drop_path and patch_dropout.
void read_dropping(JsonSection& vision, VitConfig& vit);
void write_dropping(const VitConfig& vit, nlohmann::json& out);
/// The tower as its name alone describes it.
VitConfig without_dropping(VitConfig vit);

// The families, each in its own file.
extern const TimmFamily timm_siglip_family, timm_resnet_family, timm_eva_family, timm_vit_family;
extern const TimmFamily timm_convnext_family, timm_fastvit_family, timm_vitamin_family, timm_mci_family;
extern const TimmFamily timm_naflex_family;
extern const TimmFamily timm_dinov2_family, timm_dinov3_family;

}  // namespace vlalign
