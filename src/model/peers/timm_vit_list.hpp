// timm's ViTs that are a list of names, each with the pooling and the sizes that timm gives it.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "model/peers/timm_family.hpp"

namespace vlalign {

/// The tower of that name as a vision_cfg varies it: timm_pool (Pool::average with a norm of the mean, as timm builds
/// it, or Pool::token), timm_drop_path, patch_dropout. None where no tower has the name.
std::optional<VisionConfig> read_timm_vit(std::span<const TimmTower> towers, std::string_view name,
                                          JsonSection& vision);

/// The other way round. Of towers that differ by the picture's size only, that of `image_size` counts, else the first.
std::optional<nlohmann::json> write_timm_vit(std::span<const TimmTower> towers, const VisionConfig& vision,
                                             int image_size);

}  // namespace vlalign
