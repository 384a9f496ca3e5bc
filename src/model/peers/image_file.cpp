// Files of tensors alone: what their names and shapes say of the tower.
#include <algorithm>
#include <array>
#include <set>

#include "core/check.hpp"
#include "model/peers/image_family.hpp"
#include "model/peers/image_tower_folder.hpp"

namespace vlalign {
namespace {

/// The state dict without what its programs wrap it in: torch's DataParallel, then their own module.
NamedTensors unwrapped(const NamedTensors& tensors) {
  auto inside = without_wrapper(tensors, "module.");
  for (const auto* wrapper : {"convnet.", "model.visual.", "visual.", "backbone.model."})
    inside = without_wrapper(inside, wrapper);
  return inside;
}

const at::Tensor* tensor_named(const NamedTensors& tensors, const std::string& name, std::int64_t dimensions) {
  const auto found = tensors.find(name);
  return found == tensors.end() || found->second.dim() != dimensions ? nullptr : &found->second;
}

/// How many numbers stand behind a prefix: "layer1." for "layer1.0.", "layer1.1.".
std::int64_t numbered(const NamedTensors& tensors, const std::string& prefix) {
  std::set<std::string> numbers;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix))
      numbers.insert(name.substr(prefix.size(), name.find('.', prefix.size()) - prefix.size()));
  }
  return static_cast<std::int64_t>(numbers.size());
}

std::vector<std::int64_t> four_stages(const NamedTensors& tensors) {
  std::vector<std::int64_t> layers;
  for (const auto* stage : {"layer1.", "layer2.", "layer3.", "layer4."}) layers.push_back(numbered(tensors, stage));
  return layers;
}

/// torchvision's way with ImageNet: R3M, VIP and Theia are trained so too.
Preprocess imagenet_pictures() {
  return {.image_size = 224,
          .resize_size = 256,
          .interpolation = Interpolation::bilinear,
          .mean = {0.485, 0.456, 0.406},
          .std = {0.229, 0.224, 0.225}};
}

ImageTowerConfig resnet_of(const NamedTensors& tensors) {
  return {ResNetConfig{.layers = four_stages(tensors),
                       .bottleneck = tensors.contains("layer1.0.conv3.weight"),
                       .width = tensor_named(tensors, "conv1.weight", 4)->size(0)},
          imagenet_pictures()};
}

ImageTowerConfig modified_resnet_of_file(const NamedTensors& tensors, const std::string& where) {
  const auto* first = tensor_named(tensors, "conv1.weight", 4);
  const auto* places = tensor_named(tensors, "attnpool.positional_embedding", 2);
  check(first && places, "{}: conv1.weight or attnpool.positional_embedding is missing", where);
  std::int64_t side = 1;
  while (side * side < places->size(0) - 1) ++side;
  return {ModifiedResNetConfig{.layers = four_stages(tensors), .width = 2 * first->size(0)},
          Preprocess{.image_size = static_cast<int>(std::min<std::int64_t>(side, 256) * 32)}};
}

ImageTowerConfig theia_of(const NamedTensors& tensors, const std::string& where) {
  const auto* patches = tensor_named(tensors, "embeddings.patch_embeddings.projection.weight", 4);
  check(patches && tensors.contains("embeddings.cls_token") && !tensors.contains("embeddings.reg_token"),
        "{}: of Theia's networks those with a class token and no registers are built here", where);
  auto how = imagenet_pictures();
  how.resize_size = 0, how.resize = Preprocess::Resize::squash, how.interpolation = Interpolation::bicubic;
  return {VitConfig{.patch_size = patches->size(2),
                    .width = patches->size(0),
                    .layers = numbered(tensors, "encoder.layer."),
                    .norm_eps = 1e-12,
                    .patch_bias = true,
                    .ln_pre = false},
          how};
}

enum class FileKind { resnet, modified_resnet, theia, other };

FileKind kind_of(const NamedTensors& inside) {
  if (inside.contains("attnpool.positional_embedding")) return FileKind::modified_resnet;
  if (inside.contains("embeddings.patch_embeddings.projection.weight")) return FileKind::theia;
  const bool resnet = tensor_named(inside, "conv1.weight", 4) && inside.contains("layer1.0.conv1.weight");
  return resnet ? FileKind::resnet : FileKind::other;
}

/// Heads and projections behind the tower, and what transformers' pooler leaves.
bool is_of_tower(const std::string& name) {
  static constexpr std::array<std::string_view, 4> others{"fc.", "attnpool.c_proj.", "pooler.",
                                                          "embeddings.mask_token"};
  return std::none_of(others.begin(), others.end(), [&](const auto& other) { return name.starts_with(other); });
}

}  // namespace

std::optional<ImageTowerConfig> image_config_of(const NamedTensors& tensors, const std::string& where) {
  const auto inside = unwrapped(tensors);
  switch (kind_of(inside)) {
    case FileKind::resnet:
      return resnet_of(inside);
    case FileKind::modified_resnet:
      return modified_resnet_of_file(inside, where);
    case FileKind::theia:
      return theia_of(inside, where);
    case FileKind::other:
      return {};
  }
  return {};
}

TowerSource image_file_source(NamedTensors tensors, const std::string& where) {
  auto inside = unwrapped(tensors);
  const bool theia = kind_of(inside) == FileKind::theia;
  TowerSource source{.where = where};
  if (theia) source.schemes = image_theia.schemes({}), source.prefix = "visual.";
  if (const auto found = inside.find("attnpool.c_proj.weight"); found != inside.end())
    source.projection_weight = found->second, source.projection_bias = inside["attnpool.c_proj.bias"];
  for (auto& [name, tensor] : inside) {
    if (is_of_tower(name)) source.tensors.emplace(name, std::move(tensor));
  }
  return source;
}

}  // namespace vlalign
