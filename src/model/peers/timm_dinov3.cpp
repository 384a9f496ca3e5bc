// timm's ViTs of DINOv3 (Simeoni et al. 2025), which it builds as EVA's.
#include <array>

#include "config/config_fields.hpp"
#include "model/peers/timm_dino.hpp"
#include "model/peers/timm_vit_schemes.hpp"

namespace vlalign {
namespace {

struct Dinov3Size {
  std::string_view name;
  std::int64_t width, layers, heads;
  bool gated;
  double mlp_ratio;
};

constexpr std::array dinov3_sizes{
    Dinov3Size{"tiny", 192, 12, 3, false, 4},      Dinov3Size{"small", 384, 12, 6, false, 4},
    Dinov3Size{"small_plus", 384, 12, 6, true, 4}, Dinov3Size{"base", 768, 12, 12, false, 4},
    Dinov3Size{"large", 1024, 24, 16, false, 4},   Dinov3Size{"huge_plus", 1280, 32, 20, true, 4},
    Dinov3Size{"7b", 4096, 40, 32, true, 2}};

VitConfig dinov3(const Dinov3Size& size, bool biases) {
  auto vit = dinov3_vit();
  vit.width = size.width, vit.layers = size.layers, vit.head_width = size.width / size.heads;
  vit.mlp_ratio = size.mlp_ratio;
  if (size.gated) vit.activation = Activation::silu, vit.block.mlp = BlockConfig::Mlp::gated;
  vit.block.qkv_bias = biases ? BlockConfig::QkvBias::all_but_keys : BlockConfig::QkvBias::none;
  return vit;
}

/// timm has a name for those with biases of queries and values, and one for those without.
struct Dinov3Towers {
  std::vector<std::string> names;
  std::vector<TimmTower> towers;

  Dinov3Towers() {
    for (const auto& size : dinov3_sizes) {
      names.push_back(fmt::format("vit_{}_patch16_dinov3_qkvb", size.name));
      names.push_back(fmt::format("vit_{}_patch16_dinov3", size.name));
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool biases = i % 2 == 0;
      const auto& size = dinov3_sizes[i / 2];
      const bool there = size.name == "tiny" ? biases : size.name != "7b" || !biases;
      if (there) towers.push_back({names[i], dinov3(size, biases)});
    }
  }
};

std::span<const TimmTower> towers_timm_dinov3() {
  static const Dinov3Towers all;
  return all.towers;
}

std::optional<VisionConfig> read_timm_dinov3(std::string_view name, JsonSection& vision) {
  const auto* tower = find_tower(towers_timm_dinov3(), name);
  if (!tower) return {};
  return dino_as_described(std::get<VitConfig>(tower->vision), name, vision);
}

std::optional<nlohmann::json> write_timm_dinov3(const VisionConfig& vision, int) {
  const auto* vit = std::get_if<VitConfig>(&vision);
  return vit ? dino_description(towers_timm_dinov3(), *vit) : std::nullopt;
}

NamingSchemes schemes_timm_dinov3(const VisionConfig& vision) {
  auto schemes = timm_vit_schemes(std::get<VitConfig>(vision));
  auto& scheme = schemes.back();
  scheme.renames = Renames{{".ls_1.gamma", ".gamma_1"}, {".ls_2.gamma", ".gamma_2"}} + scheme.renames;
  if (std::get<VitConfig>(vision).block.mlp != BlockConfig::Mlp::plain)
    scheme.fused = {{".mlp.fc1.", 2, {{".mlp.fc1_g.", 0, 1}, {".mlp.fc1_x.", 1, 1}}}};
  return schemes;
}

}  // namespace

const TimmFamily timm_dinov3_family{"DINOv3's ViTs", read_timm_dinov3, write_timm_dinov3, schemes_timm_dinov3,
                                    "visual.trunk.head."};

}  // namespace vlalign
