// timm's ConvNeXts, as open_clip trained them.
#include <array>

#include "core/check.hpp"
#include "model/peers/timm_family.hpp"

namespace vlalign {
namespace {

std::span<const TimmTower> towers_timm_convnext() {
  static const std::array all{
      TimmTower{"convnext_tiny", ConvNextConfig{.layers = {3, 3, 9, 3}, .widths = {96, 192, 384, 768}}},
      TimmTower{"convnext_small", ConvNextConfig{.layers = {3, 3, 27, 3}, .widths = {96, 192, 384, 768}}},
      TimmTower{"convnext_base", ConvNextConfig{.layers = {3, 3, 27, 3}, .widths = {128, 256, 512, 1024}}},
      TimmTower{"convnext_large", ConvNextConfig{.layers = {3, 3, 27, 3}, .widths = {192, 384, 768, 1536}}},
      TimmTower{"convnext_xlarge", ConvNextConfig{.layers = {3, 3, 27, 3}, .widths = {256, 512, 1024, 2048}}},
      TimmTower{"convnext_xxlarge",
                ConvNextConfig{.layers = {3, 4, 30, 3}, .widths = {384, 768, 1536, 3072}, .norm_eps = 1e-5}},
  };
  return all;
}

std::optional<VisionConfig> read_timm_convnext(std::string_view name, JsonSection& vision) {
  const auto* tower = find_tower(towers_timm_convnext(), name);
  if (!tower) return {};
  constexpr std::array<std::string_view, 2> pools{"", "avg"};
  const auto pool = pool_of_timm(vision, name, pools);
  check(!pool.empty() || !vision.is_null("timm_proj"),
        "{}.timm_pool: expected \"avg\" where timm_proj is null, got \"\"", vision.where());
  auto config = std::get<ConvNextConfig>(tower->vision);
  config.drop_path = drop_path_of(vision);
  return config;
}

std::optional<nlohmann::json> write_timm_convnext(const VisionConfig& vision, int) {
  const auto* config = std::get_if<ConvNextConfig>(&vision);
  if (!config) return {};
  auto plain = *config;
  plain.drop_path = 0;
  const auto* tower = find_tower(towers_timm_convnext(), plain);
  if (!tower) return {};
  nlohmann::json out{{"timm_model_name", tower->name}, {"timm_pool", "avg"}};
  if (config->drop_path > 0) out["timm_drop_path"] = config->drop_path;
  return out;
}

NamingSchemes schemes_timm_convnext(const VisionConfig&) {
  return {{.scope = "visual.",
           .renames = {{"visual.norm.", "visual.head.norm."},
                       {"visual.", "visual.trunk."},
                       {".mlp.c_fc.", ".mlp.fc1."},
                       {".mlp.c_proj.", ".mlp.fc2."}}}};
}

}  // namespace

const TimmFamily timm_convnext_family{"ConvNeXts", read_timm_convnext, write_timm_convnext, schemes_timm_convnext,
                                      "visual.trunk.head.fc."};

}  // namespace vlalign
