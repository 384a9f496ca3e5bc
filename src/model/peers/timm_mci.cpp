// timm's ViT of MobileCLIP-B and MobileCLIP2-B.
#include <array>

#include "model/peers/timm_family.hpp"
#include "model/peers/timm_front_schemes.hpp"
#include "model/peers/timm_vit_schemes.hpp"

namespace vlalign {
namespace {

std::span<const TimmTower> towers_timm_mci() {
  static const std::array all{TimmTower{"vit_base_mci_224", VitConfig{.patch_size = 16,
                                                                      .front = VitConfig::Front::mobile_clip,
                                                                      .norm_eps = 1e-6,
                                                                      .ln_pre = false,
                                                                      .class_position = false}}};
  return all;
}

std::optional<VisionConfig> read_timm_mci(std::string_view name, JsonSection& vision) {
  const auto* tower = find_tower(towers_timm_mci(), name);
  if (!tower) return {};
  constexpr std::array<std::string_view, 2> pools{"token", ""};
  pool_of_timm(vision, name, pools);
  auto vit = std::get<VitConfig>(tower->vision);
  read_dropping(vision, vit);
  return vit;
}

std::optional<nlohmann::json> write_timm_mci(const VisionConfig& vision, int image_size) {
  const auto* vit = std::get_if<VitConfig>(&vision);
  if (!vit || vit->front != VitConfig::Front::mobile_clip || image_size != 224) return {};
  const auto plain = without_dropping(*vit);
  const auto* tower = find_tower(towers_timm_mci(), plain);
  if (!tower) return {};
  nlohmann::json out{{"timm_model_name", tower->name}, {"timm_pool", "token"}};
  write_dropping(*vit, out);
  return out;
}

NamingSchemes schemes_timm_mci(const VisionConfig& vision) {
  auto schemes = timm_vit_schemes(std::get<VitConfig>(vision));
  schemes.insert(schemes.begin(), timm_front_scheme());
  return schemes;
}

}  // namespace

const TimmFamily timm_mci_family{"MobileCLIP-B's ViT", read_timm_mci, write_timm_mci, schemes_timm_mci,
                                 "visual.trunk.head."};

}  // namespace vlalign
