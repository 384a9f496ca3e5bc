// timm's ResNets, which are torchvision's.
#include <array>

#include "model/peers/timm_family.hpp"

namespace vlalign {
namespace {

std::span<const TimmTower> towers_timm_resnet() {
  static const std::array all{
      TimmTower{"resnet18", ResNetConfig{.layers = {2, 2, 2, 2}, .bottleneck = false}},
      TimmTower{"resnet34", ResNetConfig{.layers = {3, 4, 6, 3}, .bottleneck = false}},
      TimmTower{"resnet50", ResNetConfig{.layers = {3, 4, 6, 3}, .bottleneck = true}},
      TimmTower{"resnet101", ResNetConfig{.layers = {3, 4, 23, 3}, .bottleneck = true}},
      TimmTower{"resnet152", ResNetConfig{.layers = {3, 8, 36, 3}, .bottleneck = true}},
  };
  return all;
}

std::optional<VisionConfig> read_timm_resnet(std::string_view name, JsonSection& vision) {
  const auto* tower = find_tower(towers_timm_resnet(), name);
  if (!tower) return {};
  constexpr std::string_view pool = "avg";
  pool_of_timm(vision, name, {&pool, 1});
  vision.ignore({"timm_drop_path"});
  return tower->vision;
}

std::optional<nlohmann::json> write_timm_resnet(const VisionConfig& vision, int) {
  const auto* tower = find_tower(towers_timm_resnet(), vision);
  if (!tower) return {};
  return nlohmann::json{{"timm_model_name", tower->name}, {"timm_pool", "avg"}};
}

NamingSchemes schemes_timm_resnet(const VisionConfig&) {
  return {{.scope = "visual.", .renames = {{"visual.", "visual.trunk."}}}};
}

}  // namespace

const TimmFamily timm_resnet_family{"resnet18 to resnet152", read_timm_resnet, write_timm_resnet, schemes_timm_resnet,
                                    "visual.trunk.fc."};

}  // namespace vlalign
