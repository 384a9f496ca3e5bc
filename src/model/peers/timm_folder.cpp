// A folder that timm wrote: config.json with "architecture" and "pretrained_cfg", model.safetensors.
#include <cmath>

#include "core/check.hpp"
#include "model/peers/image_tower_folder.hpp"
#include "model/peers/timm_family.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

struct TimmFolder {
  const TimmFamily* family;
  VisionConfig vision;
};

/// As open_clip's vision_cfg would name the tower.
json vision_cfg_of(JsonSection& root, int image_size) {
  json vision{{"timm_model_name", root.require<std::string>("architecture")}, {"image_size", image_size}};
  if (root.has("global_pool")) vision["timm_pool"] = root.require<std::string>("global_pool");
  return vision;
}

TimmFolder tower_of_timm_folder(JsonSection& root, int image_size) {
  const auto name = root.require<std::string>("architecture");
  const auto* arguments = root.find("model_args");
  check(!arguments || arguments->empty(), "{}.model_args: only timm's own towers are built here, got {}", root.where(),
        arguments ? arguments->dump() : "");
  const auto description = vision_cfg_of(root, image_size);
  JsonSection vision(description, root.where());
  std::vector<std::string_view> known;
  for (const auto* family : timm_families()) {
    if (auto tower = family->read(name, vision)) return {family, std::move(*tower)};
    known.push_back(family->models);
  }
  fail("{}.architecture: {} are built here, not {}", root.where(), fmt::join(known, ", "), name);
}

int input_side(JsonSection& pretrained) {
  const auto size = pretrained.get<std::vector<std::int64_t>>("input_size", {3, 224, 224});
  check(size.size() == 3 && size[0] == 3 && size[1] == size[2] && size[1] > 0 && size[1] <= 8192,
        "{}.input_size: expected 3 channels and a square, got {}", pretrained.where(), size);
  return static_cast<int>(size[1]);
}

Preprocess preprocess_of_timm(JsonSection& pretrained) {
  Preprocess how{.image_size = input_side(pretrained),
                 .mean = pretrained.get<std::array<double, 3>>("mean", {0.485, 0.456, 0.406}),
                 .std = pretrained.get<std::array<double, 3>>("std", {0.229, 0.224, 0.225})};
  const auto interpolation = pretrained.get<std::string>("interpolation", "bicubic");
  check(interpolation == "bicubic" || interpolation == "bilinear", "{}.interpolation: bicubic or bilinear, got {}",
        pretrained.where(), interpolation);
  if (interpolation == "bilinear") how.interpolation = Interpolation::bilinear;
  const auto mode = pretrained.get<std::string>("crop_mode", "center");
  check(mode == "center" || mode == "squash", "{}.crop_mode: center or squash, got {}", pretrained.where(), mode);
  if (mode == "squash") how.resize = Preprocess::Resize::squash;
  const auto share = pretrained.number_between("crop_pct", 0.875, 0.01, 1);
  const auto resized = static_cast<int>(std::floor(how.image_size / share));
  if (resized > how.image_size) how.resize_size = resized;
  return how;
}

}  // namespace

ImageTowerConfig parse_timm_folder(const json& config, const std::string& where) {
  static const json nothing = json::object();
  JsonSection root(config, where);
  auto pretrained =
      root.has("pretrained_cfg") ? root.section("pretrained_cfg") : JsonSection(nothing, where + ".pretrained_cfg");
  const auto how = preprocess_of_timm(pretrained);
  return {tower_of_timm_folder(root, how.image_size).vision, how};
}

TowerSource timm_folder_source(NamedTensors tensors, const std::string& where, const json& config,
                               const VisionConfig& vision) {
  JsonSection root(config, where);
  const auto tower = tower_of_timm_folder(root, parse_timm_folder(config, where).preprocess.image_size);
  constexpr std::string_view trunk = "visual.trunk.";
  const auto classifier = tower.family->classifier.substr(trunk.size());
  NamedTensors named;
  for (auto& [name, tensor] : tensors) {
    if (!name.starts_with(classifier)) named.emplace(std::string(trunk) + name, std::move(tensor));
  }
  return {.where = where, .tensors = std::move(named), .schemes = tower.family->schemes(vision), .prefix = "visual."};
}

}  // namespace vlalign
