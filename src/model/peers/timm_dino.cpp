#include "model/peers/timm_dino.hpp"

#include <array>

namespace vlalign {
namespace {

constexpr std::array<std::string_view, 2> dino_pools{"token", "avg"};
constexpr double dino_layer_scale = 1e-5;  // at first

}  // namespace

VitConfig dinov2_vit() {
  return {.patch_size = 14, .norm_eps = 1e-6, .patch_bias = true, .ln_pre = false, .layer_scale = dino_layer_scale};
}

VitConfig dinov3_vit() {
  return {
      .patch_size = 16,
      .norm_eps = 1e-5,
      .patch_bias = true,
      .ln_pre = false,
      .positions = VitConfig::Positions::none,
      .rotary = RotaryConfig{.coordinates = RotaryConfig::Coordinates::normalized, .temperature = 100, .halves = true},
      .registers = 4,
      .layer_scale = dino_layer_scale};
}

VitConfig dino_as_described(VitConfig vit, std::string_view name, JsonSection& vision) {
  const bool token = pool_of_timm(vision, name, dino_pools) == "token";
  vit.pool = token ? VitConfig::Pool::token : VitConfig::Pool::average;
  read_dropping(vision, vit);
  return vit;
}

std::optional<nlohmann::json> dino_description(std::span<const TimmTower> towers, VitConfig vit) {
  const bool token = vit.pool == VitConfig::Pool::token;
  if (!token && vit.pool != VitConfig::Pool::average) return {};
  nlohmann::json out{{"timm_pool", token ? "token" : "avg"}};
  write_dropping(vit, out);
  vit.pool = VitConfig::Pool::token;
  const auto* tower = find_tower(towers, without_dropping(vit));
  if (!tower) return {};
  out["timm_model_name"] = tower->name;
  return out;
}

}  // namespace vlalign
