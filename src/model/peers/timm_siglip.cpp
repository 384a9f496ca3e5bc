// timm's ViTs of SigLIP and SigLIP 2 of fixed resolution.
#include <array>
#include <charconv>

#include "config/config_fields.hpp"
#include "core/check.hpp"
#include "model/peers/timm_family.hpp"
#include "model/peers/timm_vit_schemes.hpp"

namespace vlalign {
namespace {

struct Size {
  std::string_view name;
  std::int64_t width, layers, heads;
  double mlp_ratio;
};

constexpr std::array sizes{Size{"base", 768, 12, 12, 4.0}, Size{"large", 1024, 24, 16, 4.0},
                           Size{"so400m", 1152, 27, 16, 3.7362}, Size{"giantopt", 1536, 40, 16, 4.0}};

/// timm gives the towers that came with SigLIP 2 the tanh GELU, those of the first SigLIP the exact one.
Activation activation_of(std::string_view size, std::int64_t patch_size) {
  const bool second = patch_size == 32 || size == "giantopt" || (size == "so400m" && patch_size == 16);
  return second ? Activation::gelu_tanh : Activation::gelu;
}

/// Takes a prefix off; false where there is none such.
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::int64_t take_number(std::string_view& text) {
  std::int64_t number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

/// "vit_base_patch16_siglip_224", "vit_so400m_patch14_siglip_gap_384", ...; none for another name.
std::optional<VitConfig> siglip_vit(std::string_view name) {
  if (!take(name, "vit_")) return {};
  for (const auto& size : sizes) {
    auto rest = name;
    if (!take(rest, size.name) || !take(rest, "_patch")) continue;
    const auto patch_size = take_number(rest);
    if (patch_size <= 0 || !take(rest, "_siglip_")) return {};
    const bool average = take(rest, "gap_");
    return VitConfig{.patch_size = patch_size,
                     .width = size.width,
                     .layers = size.layers,
                     .head_width = size.width / size.heads,
                     .mlp_ratio = size.mlp_ratio,
                     .activation = activation_of(size.name, patch_size),
                     .norm_eps = 1e-6,
                     .pool = average ? VitConfig::Pool::average : VitConfig::Pool::attention,
                     .class_token = false,
                     .patch_bias = true,
                     .ln_pre = false};
  }
  return {};
}

/// The name of such a tower at an image size; none when timm has no ViT of these sizes.
std::optional<std::string> name_of_timm_siglip(const VitConfig& vit, std::int64_t image_size) {
  for (const auto& size : sizes) {
    const bool gap = vit.pool == VitConfig::Pool::average;
    const auto name =
        fmt::format("vit_{}_patch{}_siglip_{}{}", size.name, vit.patch_size, gap ? "gap_" : "", image_size);
    const auto known = *siglip_vit(name);
    const auto hidden = [](const VitConfig& v) { return mlp_width(v.width, v.mlp_ratio); };
    if (known.width == vit.width && known.layers == vit.layers && known.head_width == vit.head_width &&
        hidden(known) == hidden(vit) && known.activation == vit.activation)
      return name;
  }
  return {};
}

std::optional<VisionConfig> read_timm_siglip(std::string_view name, JsonSection& vision) {
  auto vit = siglip_vit(name);
  if (!vit) return {};
  const std::string_view pool = vit->pool == VitConfig::Pool::average ? "avg" : "map";
  pool_of_timm(vision, name, {&pool, 1});
  read_dropping(vision, *vit);
  return *vit;
}

std::optional<nlohmann::json> write_timm_siglip(const VisionConfig& vision, int image_size) {
  const auto* vit = std::get_if<VitConfig>(&vision);
  if (!vit || vit->class_token || !vit->stem.empty() || vit->most_patches > 0) return {};
  const auto name = name_of_timm_siglip(*vit, image_size);
  if (!name) return {};
  nlohmann::json out{{"timm_model_name", *name}, {"timm_pool", vit->pool == VitConfig::Pool::average ? "avg" : "map"}};
  write_dropping(*vit, out);
  return out;
}

NamingSchemes schemes_timm_siglip(const VisionConfig& vision) { return timm_vit_schemes(std::get<VitConfig>(vision)); }

}  // namespace

const TimmFamily timm_siglip_family{"SigLIP's ViTs", read_timm_siglip, write_timm_siglip, schemes_timm_siglip,
                                    "visual.trunk.head."};

}  // namespace vlalign
