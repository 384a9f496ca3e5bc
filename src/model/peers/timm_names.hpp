// The timm models that open_clip's configs name and this library builds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// "vit_base_patch16_siglip_224", "vit_so400m_patch14_siglip_gap_384", ...; none for another name.
std::optional<VitConfig> timm_siglip(std::string_view name);
/// The name of such a tower at an image size; none when timm has no ViT of these sizes.
std::optional<std::string> timm_name(const VitConfig& vit, std::int64_t image_size);

/// "resnet18" to "resnet152"; none for another name.
std::optional<ResNetConfig> timm_resnet(std::string_view name);
std::optional<std::string> timm_name(const ResNetConfig& resnet);

}  // namespace vlalign
