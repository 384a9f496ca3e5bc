#include "model/peers/timm_names.hpp"

#include <array>
#include <charconv>

#include "core/check.hpp"

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

struct NamedResNet {
  std::string_view name;
  std::array<std::int64_t, 4> layers;
  bool bottleneck;
};

constexpr std::array timm_resnets{
    NamedResNet{"resnet18", {2, 2, 2, 2}, false}, NamedResNet{"resnet34", {3, 4, 6, 3}, false},
    NamedResNet{"resnet50", {3, 4, 6, 3}, true}, NamedResNet{"resnet101", {3, 4, 23, 3}, true},
    NamedResNet{"resnet152", {3, 8, 36, 3}, true}};

}  // namespace

std::optional<VitConfig> timm_siglip(std::string_view name) {
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

std::optional<std::string> timm_name(const VitConfig& vit, std::int64_t image_size) {
  for (const auto& size : sizes) {
    const bool gap = vit.pool == VitConfig::Pool::average;
    const auto name =
        fmt::format("vit_{}_patch{}_siglip_{}{}", size.name, vit.patch_size, gap ? "gap_" : "", image_size);
    const auto known = *timm_siglip(name);
    const auto hidden = [](const VitConfig& v) {
      return static_cast<std::int64_t>(static_cast<double>(v.width) * v.mlp_ratio + 1e-6);
    };
    if (known.width == vit.width && known.layers == vit.layers && known.head_width == vit.head_width &&
        hidden(known) == hidden(vit) && known.activation == vit.activation)
      return name;
  }
  return {};
}

std::optional<ResNetConfig> timm_resnet(std::string_view name) {
  for (const auto& known : timm_resnets) {
    if (known.name == name)
      return ResNetConfig{.layers = {known.layers.begin(), known.layers.end()}, .bottleneck = known.bottleneck};
  }
  return {};
}

std::optional<std::string> timm_name(const ResNetConfig& resnet) {
  for (const auto& known : timm_resnets) {
    const std::vector<std::int64_t> layers(known.layers.begin(), known.layers.end());
    if (layers == resnet.layers && known.bottleneck == resnet.bottleneck && resnet.width == 64)
      return std::string(known.name);
  }
  return {};
}

}  // namespace vlalign
