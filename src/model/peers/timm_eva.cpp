// timm's Eva class: EVA (Fang et al. 2022), EVA-02 (Fang et al. 2023), EVA-CLIP (Sun et al. 2023) and Meta's Perception
// Encoder (Bolya et al. 2025).
#include <array>

#include "model/peers/timm_family.hpp"
#include "model/peers/timm_vit_list.hpp"
#include "model/peers/timm_vit_schemes.hpp"

namespace vlalign {
namespace {

using Pool = VitConfig::Pool;

struct EvaSize {
  std::int64_t patch_size, width, layers, heads;
  double hidden;  ///< of the MLPs
};

VitConfig eva_vit(const EvaSize& size) {
  return {.patch_size = size.patch_size,
          .width = size.width,
          .layers = size.layers,
          .head_width = size.width / size.heads,
          .mlp_ratio = size.hidden / static_cast<double>(size.width),
          .norm_eps = 1e-6,
          .patch_bias = true,
          .ln_pre = false,
          .block = {.qkv_bias = BlockConfig::QkvBias::all_but_keys}};
}

/// EVA: mean of the patches unless a CLIP model pools the class token.
VitConfig eva_giant() {
  auto vit = eva_vit({14, 1408, 40, 16, 6144});
  vit.pool = Pool::average;
  vit.norm_after_pool = true;
  return vit;
}

/// EVA-02 of CLIP models.
VitConfig eva02_clip(const EvaSize& size) {
  auto vit = eva_vit(size);
  vit.activation = Activation::silu;
  vit.rotary = RotaryConfig{.reference = 16};
  vit.block.mlp = BlockConfig::Mlp::gated;
  vit.block.mlp_inner_norm = vit.block.inner_norm = true;
  return vit;
}

VitConfig eva02_enormous() {
  auto vit = eva_vit({14, 1792, 64, 16, 15360});
  vit.block.placement = BlockConfig::Placement::behind_branch;
  return vit;
}

VitConfig pe_core(const EvaSize& size, std::int64_t side) {
  auto vit = eva_vit(size);
  vit.norm_eps = 1e-5;
  vit.pool = Pool::attention;
  vit.pool_heads = 8;
  vit.pool_mlp_ratio = 4;
  vit.patch_bias = false;
  vit.ln_pre = true;
  vit.rotary = RotaryConfig{.offset = 1, .reference = side, .columns_first = true};
  vit.block.qkv_bias = BlockConfig::QkvBias::all;
  return vit;
}

VitConfig pe_core_gigantic() {
  auto vit = pe_core({14, 1536, 50, 16, 8960}, 32);
  vit.class_token = false;
  vit.rotary->offset = 0;
  return vit;
}

std::span<const TimmTower> towers_timm_eva() {
  static const std::array all{
      TimmTower{"eva_giant_patch14_224", eva_giant()},
      TimmTower{"eva_giant_patch14_336", eva_giant()},
      TimmTower{"eva02_base_patch16_clip_224", eva02_clip({16, 768, 12, 12, 2048})},
      TimmTower{"eva02_large_patch14_clip_224", eva02_clip({14, 1024, 24, 16, 2730})},
      TimmTower{"eva02_large_patch14_clip_336", eva02_clip({14, 1024, 24, 16, 2730})},
      TimmTower{"eva02_enormous_patch14_clip_224", eva02_enormous()},
      TimmTower{"vit_pe_core_tiny_patch16_384", pe_core({16, 192, 12, 3, 768}, 24)},
      TimmTower{"vit_pe_core_small_patch16_384", pe_core({16, 384, 12, 6, 1536}, 24)},
      TimmTower{"vit_pe_core_base_patch16_224", pe_core({16, 768, 12, 12, 3072}, 14)},
      TimmTower{"vit_pe_core_large_patch14_336", pe_core({14, 1024, 24, 16, 4096}, 24)},
      TimmTower{"vit_pe_core_gigantic_patch14_448", pe_core_gigantic()},
  };
  return all;
}

std::optional<VisionConfig> read_timm_eva(std::string_view name, JsonSection& vision) {
  return read_timm_vit(towers_timm_eva(), name, vision);
}

std::optional<nlohmann::json> write_timm_eva(const VisionConfig& vision, int image_size) {
  return write_timm_vit(towers_timm_eva(), vision, image_size);
}

/// timm keeps queries, keys and values of EVA-02's blocks apart, and the two halves of their gated MLPs.
NamingSchemes schemes_timm_eva(const VisionConfig& vision) {
  const auto& vit = std::get<VitConfig>(vision);
  const bool apart = vit.block.mlp == BlockConfig::Mlp::gated && vit.block.mlp_inner_norm;
  auto schemes = timm_vit_schemes(vit);
  auto& tower = schemes.back();
  const Renames eva{{".ls_1.gamma", ".gamma_1"},
                    {".ls_2.gamma", ".gamma_2"},
                    {".attn.ln_inner.", ".attn.norm."},
                    {".mlp.ln.", ".mlp.norm."}};
  tower.renames = eva + tower.renames;
  if (!apart) return schemes;
  tower.renames = tower.renames + Renames{{".q_bias", ".q_proj.bias"}, {".v_bias", ".v_proj.bias"}};
  tower.fused = {{".attn.qkv.", 3, {{".attn.q_proj.", 0, 1}, {".attn.k_proj.", 1, 1}, {".attn.v_proj.", 2, 1}}},
                 {".mlp.fc1.", 2, {{".mlp.fc1_g.", 0, 1}, {".mlp.fc1_x.", 1, 1}}}};
  return schemes;
}

}  // namespace

const TimmFamily timm_eva_family{"EVA's and PE-Core's ViTs", read_timm_eva, write_timm_eva, schemes_timm_eva,
                                 "visual.trunk.head."};

}  // namespace vlalign
