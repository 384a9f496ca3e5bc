// What timm's ViTs of DINOv2 and DINOv3 share.
#pragma once

#include "model/peers/timm_family.hpp"

namespace vlalign {

/// Keys of ours in the vision_cfg of DINOv2's towers, with which no peer reads it.
constexpr auto dinov2_side_key = "position_side";
constexpr auto dinov2_resize_key = "position_resize";

/// The base of DINOv2's sizes, without positions' side.
VitConfig dinov2_vit();

/// The base of DINOv3's sizes.
VitConfig dinov3_vit();

/// A tower with what a vision_cfg says of it besides its name: timm_pool token or avg, and what training draws.
VitConfig dino_as_described(VitConfig vit, std::string_view name, JsonSection& vision);

/// The keys that dino_as_described() takes, and the name; none where no tower of the list is like it.
std::optional<nlohmann::json> dino_description(std::span<const TimmTower> towers, VitConfig vit);

}  // namespace vlalign
