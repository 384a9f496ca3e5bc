// timm's FastViTs of MobileCLIP and MobileCLIP 2.
#include <array>

#include "core/check.hpp"
#include "model/peers/timm_family.hpp"

namespace vlalign {
namespace {

constexpr auto timm_kwargs = "timm_model_kwargs", folded_key = "inference_mode";

FastVitConfig second_fastvit(std::vector<std::int64_t> layers, std::vector<std::int64_t> widths) {
  return {.layers = std::move(layers),
          .widths = std::move(widths),
          .mlp_ratio = 4,
          .attention_stages = 2,
          .squeeze_downsamples = false,
          .layer_norm = true,
          .stem_scale_branch = false};
}

std::span<const TimmTower> towers_timm_fastvit() {
  static const std::array all{
      TimmTower{"fastvit_mci0", FastVitConfig{.layers = {2, 6, 10, 2}, .widths = {64, 128, 256, 512}}},
      TimmTower{"fastvit_mci1", FastVitConfig{.layers = {4, 12, 20, 4}, .widths = {64, 128, 256, 512}}},
      TimmTower{"fastvit_mci2", FastVitConfig{.layers = {4, 12, 24, 4}, .widths = {80, 160, 320, 640}}},
      TimmTower{"fastvit_mci3", second_fastvit({2, 12, 24, 4, 2}, {96, 192, 384, 768, 1536})},
      TimmTower{"fastvit_mci4", second_fastvit({2, 12, 24, 4, 4}, {128, 256, 512, 1024, 2048})},
  };
  return all;
}

/// What timm is told beside the name: whether the branches are folded.
bool folded_of(JsonSection& vision) {
  if (!vision.has(timm_kwargs)) return false;
  auto kwargs = vision.section(timm_kwargs);
  const bool folded = kwargs.get<bool>(folded_key, false);
  kwargs.finish();
  return folded;
}

std::optional<VisionConfig> read_timm_fastvit(std::string_view name, JsonSection& vision) {
  const auto* tower = find_tower(towers_timm_fastvit(), name);
  if (!tower) return {};
  constexpr std::array<std::string_view, 2> pools{"", "avg"};
  const auto pool = pool_of_timm(vision, name, pools);
  check(!pool.empty() || !vision.is_null("timm_proj"),
        "{}.timm_pool: expected \"avg\" where timm_proj is null, got \"\"", vision.where());
  auto config = std::get<FastVitConfig>(tower->vision);
  config.drop_path = drop_path_of(vision);
  config.folded = folded_of(vision);
  return config;
}

std::optional<nlohmann::json> write_timm_fastvit(const VisionConfig& vision, int) {
  const auto* config = std::get_if<FastVitConfig>(&vision);
  if (!config) return {};
  auto plain = *config;
  plain.drop_path = 0, plain.folded = false;
  const auto* tower = find_tower(towers_timm_fastvit(), plain);
  if (!tower) return {};
  nlohmann::json out{{"timm_model_name", tower->name}, {"timm_pool", "avg"}};
  if (config->drop_path > 0) out["timm_drop_path"] = config->drop_path;
  if (config->folded) out[timm_kwargs] = {{folded_key, true}};
  return out;
}

NamingSchemes schemes_timm_fastvit(const VisionConfig&) {
  return {
      {.scope = "visual.",
       .renames = {{"visual.", "visual.trunk."},
                   {".conv_kxk.", ".conv_kxk.0."},
                   {".mlp_conv.", ".mlp.conv."},
                   {".mlp.c_fc.", ".mlp.fc1."},
                   {".mlp.c_proj.", ".mlp.fc2."},
                   {".attn.in_proj_", ".token_mixer.qkv."},
                   {".attn.out_proj.", ".token_mixer.proj."}},
       .trailing_ones = {
           {".c_fc.weight", 2}, {".c_proj.weight", 2}, {".se.fc1.weight", 2}, {".se.fc2.weight", 2}, {".gamma", 2}}}};
}

}  // namespace

const TimmFamily timm_fastvit_family{"MobileCLIP's FastViTs", read_timm_fastvit, write_timm_fastvit,
                                     schemes_timm_fastvit, "visual.trunk.head.fc."};

}  // namespace vlalign
