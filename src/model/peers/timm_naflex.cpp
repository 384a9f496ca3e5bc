// timm's NaFlexVit, which takes pictures of any aspect ratio: SigLIP 2 NaFlex and open_clip's own.
#include <algorithm>
#include <array>
#include <optional>

#include "core/check.hpp"
#include "model/peers/timm_family.hpp"
#include "model/peers/timm_vit_schemes.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

constexpr std::int64_t usual_naflex_side = 16;  // of the table of positions

VitConfig naflex_vit(std::int64_t width, std::int64_t layers, std::int64_t heads, VitConfig::Pool pool) {
  return {.patch_size = 16,
          .width = width,
          .layers = layers,
          .head_width = width / heads,
          .norm_eps = 1e-6,
          .pool = pool,
          .class_token = false,
          .patch_bias = true,
          .ln_pre = false,
          .norm_after_pool = pool == VitConfig::Pool::average,
          .position_side = usual_naflex_side,
          .class_position = false};
}

VitConfig with_layer_scale(VitConfig vit, std::int64_t registers) {
  vit.layer_scale = 1e-5;
  vit.registers = registers;
  return vit;
}

VitConfig so150m2_vit() {
  auto vit = with_layer_scale(naflex_vit(832, 21, 13, VitConfig::Pool::attention), 1);
  vit.mlp_ratio = 34.0 / 13;
  vit.block.qkv_bias = BlockConfig::QkvBias::none;
  return vit;
}

VitConfig naflex_siglip_vit(std::int64_t width, std::int64_t layers, std::int64_t heads, double mlp_ratio) {
  auto vit = naflex_vit(width, layers, heads, VitConfig::Pool::attention);
  vit.mlp_ratio = mlp_ratio;
  vit.activation = Activation::gelu_tanh;
  vit.position_resize = VitConfig::PositionResize::bilinear_antialiased;
  return vit;
}

std::span<const TimmTower> naflex_towers() {
  static const std::array all{
      TimmTower{"naflexvit_base_patch16_gap", with_layer_scale(naflex_vit(768, 12, 12, VitConfig::Pool::average), 4)},
      TimmTower{"naflexvit_base_patch16_map", with_layer_scale(naflex_vit(768, 12, 12, VitConfig::Pool::attention), 1)},
      TimmTower{"naflexvit_so150m2_patch16_reg1_map", so150m2_vit()},
      TimmTower{"naflexvit_base_patch16_siglip", naflex_siglip_vit(768, 12, 12, 4.0)},
      TimmTower{"naflexvit_so400m_patch16_siglip", naflex_siglip_vit(1152, 27, 16, 3.7362)}};
  return all;
}

const char* pool_name(const VitConfig& vit) { return vit.pool == VitConfig::Pool::average ? "avg" : "map"; }

/// A gated MLP, whose blocks timm makes as EVA's: keys have no bias.
void make_gated(VitConfig& vit) {
  vit.block.mlp = BlockConfig::Mlp::gated;
  vit.activation = Activation::silu;
  if (vit.block.qkv_bias == BlockConfig::QkvBias::all) vit.block.qkv_bias = BlockConfig::QkvBias::all_but_keys;
}

std::int64_t grid_side_of(JsonSection& kwargs) {
  const auto sides = kwargs.positives("pos_embed_grid_size", {usual_naflex_side, usual_naflex_side});
  check(sides.size() == 2 && sides[0] == sides[1], "{}.pos_embed_grid_size: two equal numbers, got {}", kwargs.where(),
        fmt::join(sides, ", "));
  return sides[0];
}

/// timm_model_kwargs
void read_naflex_kwargs(JsonSection kwargs, VitConfig& vit) {
  const auto heads = kwargs.positive("num_heads", vit.width / vit.head_width);
  vit.patch_size = kwargs.positive("patch_size", vit.patch_size);
  vit.position_side = grid_side_of(kwargs);
  vit.width = kwargs.positive("embed_dim", vit.width);
  vit.layers = kwargs.count("depth", vit.layers);
  check(vit.width % heads == 0, "{}: embed_dim {} is not a multiple of num_heads {}", kwargs.where(), vit.width, heads);
  vit.head_width = vit.width / heads;
  vit.mlp_ratio = kwargs.number_between("mlp_ratio", vit.mlp_ratio, 0, 64);
  vit.pool_mlp_ratio = kwargs.number_between("attn_pool_mlp_ratio", 0, 0, 64);
  if (kwargs.get<bool>("swiglu_mlp", false)) make_gated(vit);
  kwargs.finish();
}

json naflex_kwargs(const VitConfig& vit, const VitConfig& usual) {
  json out = json::object();
  const auto put = [&](const char* key, const json& value, const json& fallback) {
    if (value != fallback) out[key] = value;
  };
  put("patch_size", vit.patch_size, usual.patch_size);
  put("pos_embed_grid_size", {vit.position_side, vit.position_side}, {usual.position_side, usual.position_side});
  put("embed_dim", vit.width, usual.width);
  put("depth", vit.layers, usual.layers);
  put("num_heads", vit.width / vit.head_width, usual.width / usual.head_width);
  put("mlp_ratio", vit.mlp_ratio, usual.mlp_ratio);
  put("attn_pool_mlp_ratio", vit.pool_mlp_ratio, usual.pool_mlp_ratio);
  put("swiglu_mlp", vit.block.mlp == BlockConfig::Mlp::gated, false);
  return out;
}

/// Patches of a square picture, which a config may leave out.
std::int64_t square_patches(const VitConfig& vit, std::int64_t image_size) {
  const auto side = image_size / vit.patch_size;
  return side * side;
}

std::optional<VisionConfig> read_timm_naflex(std::string_view name, JsonSection& vision) {
  const auto* tower = find_tower(naflex_towers(), name);
  if (!tower) return {};
  auto vit = std::get<VitConfig>(tower->vision);
  const std::string_view pool = pool_name(vit);
  pool_of_timm(vision, name, {&pool, 1});
  if (vision.has("timm_model_kwargs")) read_naflex_kwargs(vision.section("timm_model_kwargs"), vit);
  const auto* size = vision.find("image_size");
  const auto image_size = size && size->is_number_integer() ? size->get<std::int64_t>() : 224;
  vit.most_patches = vision.positive("image_seq_len", std::max<std::int64_t>(1, square_patches(vit, image_size)));
  read_dropping(vision, vit);
  return vit;
}

/// The tower of another config's sizes, which differs from it in what timm_model_kwargs says.
VitConfig with_sizes_of(VitConfig tower, const VitConfig& vit) {
  tower.patch_size = vit.patch_size, tower.position_side = vit.position_side;
  tower.width = vit.width, tower.layers = vit.layers, tower.head_width = vit.head_width;
  tower.mlp_ratio = vit.mlp_ratio, tower.pool_mlp_ratio = vit.pool_mlp_ratio;
  if (vit.block.mlp == BlockConfig::Mlp::gated) make_gated(tower);
  return tower;
}

/// The tower it is, or else the first that it is with timm_model_kwargs.
const TimmTower* naflex_tower_of(VitConfig vit) {
  vit = without_dropping(std::move(vit));
  vit.most_patches = 0;
  if (const auto* tower = find_tower(naflex_towers(), vit)) return tower;
  for (const auto& tower : naflex_towers()) {
    const TimmTower resized{tower.name, with_sizes_of(std::get<VitConfig>(tower.vision), vit)};
    if (find_tower({&resized, 1}, VisionConfig(vit))) return &tower;
  }
  return nullptr;
}

std::optional<json> write_timm_naflex(const VisionConfig& vision, int image_size) {
  const auto* vit = std::get_if<VitConfig>(&vision);
  if (!vit || vit->most_patches == 0) return {};
  const auto* tower = naflex_tower_of(*vit);
  if (!tower) return {};
  json out{{"timm_model_name", tower->name}, {"timm_pool", pool_name(*vit)}};
  auto kwargs = naflex_kwargs(*vit, std::get<VitConfig>(tower->vision));
  if (!kwargs.empty()) out["timm_model_kwargs"] = std::move(kwargs);
  if (vit->most_patches != square_patches(*vit, image_size)) out["image_seq_len"] = vit->most_patches;
  write_dropping(*vit, out);
  return out;
}

NamingSchemes schemes_timm_naflex(const VisionConfig& vision) {
  const auto& vit = std::get<VitConfig>(vision);
  const bool gated = vit.block.mlp == BlockConfig::Mlp::gated;
  const Renames own{{"patch_embedding.", "embeds.proj."},
                    {"visual.positional_embedding", "visual.embeds.pos_embed"},
                    {"visual.registers", "visual.embeds.reg_token"}};
  const Renames scales = gated ? Renames{{".ls_1.gamma", ".gamma_1"}, {".ls_2.gamma", ".gamma_2"}} : Renames{};
  auto schemes = timm_vit_schemes(vit);
  auto& tower = schemes.back();
  tower.renames = own + scales + tower.renames;
  tower.square_grids = {"positional_embedding"};
  return schemes;
}

}  // namespace

const TimmFamily timm_naflex_family{"NaFlex ViTs", read_timm_naflex, write_timm_naflex, schemes_timm_naflex,
                                    "visual.trunk.head."};

}  // namespace vlalign
