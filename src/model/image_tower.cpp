#include "vlalign/model/image_tower.hpp"

#include <ATen/core/grad_mode.h>

#include "config/image_size.hpp"
#include "config/validate.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/on_device.hpp"
#include "core/precision.hpp"
#include "model/make_module.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/image_tower_folder.hpp"
#include "model/peers/tower_source.hpp"
#include "nn/check_inputs.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr auto weights_name = "model.safetensors";
constexpr std::string_view timm_trunk = "visual.trunk.";  // stands before timm's own names in open_clip's

/// A folder that write() filled with what came from a file of tensors has no config.
fs::path source_of(const fs::path& path) {
  const bool tensors_alone = is_folder(path) && !is_there(path / "config.json") && is_there(path / weights_name);
  return tensors_alone ? path / weights_name : path;
}

/// What says how the tower is built and its pictures are prepared, as it stands there.
std::vector<ConfigFile> description_of(const fs::path& path) {
  std::vector<ConfigFile> files;
  if (!is_folder(path)) return files;
  read_whole_folder(path, [&](const fs::path& place) {
    files.clear();
    for (const auto* name : {"config.json", preprocessor_config, processor_config})
      if (is_there(place / name)) files.push_back({name, read_file(place / name)});
  });
  return files;
}

}  // namespace

struct ImageTower::State {
  ImageTowerConfig config;
  std::shared_ptr<nn::Tower> module;
  TowerSource source;  ///< without its tensors: how the peer names the module's
  std::vector<ConfigFile> description;
};

ImageTower::ImageTower(std::shared_ptr<State> state) : state_(std::move(state)) {}

ImageTower ImageTower::load(const fs::path& path, std::optional<int> image_size) {
  const auto place = source_of(path);
  auto config = read_image_config(place);
  if (image_size) config.preprocess = with_image_size(config.preprocess, *image_size, "[ImageTower] image_size");
  ModelConfig whole;  // of which the tower alone is made
  whole.vision = config.vision, whole.preprocess = config.preprocess;
  validate(whole, place.string() + ":");
  auto initializer = nn::Initializer::undrawn();
  auto module = make_image_tower(whole, initializer);
  auto source = image_tower_alone(place, config);
  assign_tower(*module, source);
  source.tensors.clear();
  for (auto& parameter : module->parameters()) parameter.set_requires_grad(false);
  module->eval();
  return ImageTower(
      std::make_shared<State>(State{config, std::move(module), std::move(source), description_of(place)}));
}

void ImageTower::write(const fs::path& folder) const {
  const auto& source = state_->source;
  NamedTensors tensors;
  for (auto& [name, tensor] : peer_tensors(*state_->module, source.schemes, {}, source.prefix))
    tensors.emplace(name.starts_with(timm_trunk) ? name.substr(timm_trunk.size()) : name, tensor);
  if (source.restored) tensors = source.restored(std::move(tensors));
  for (const auto& [name, text] : state_->description) write_file_atomically(folder / name, text);
  write_safetensors(folder / weights_name, tensors, {{"format", "pt"}});
}

Features ImageTower::features(const at::Tensor& pixels, std::span<const std::int64_t> layers,
                              Precision precision) const {
  check(pixels.defined(), "[ImageTower] pixels: expected [B, 3, S, S], got no tensor");
  check(precision != Precision::int8, "[ImageTower] precision: an image tower alone isn't prepared for int8");
  const at::NoGradGuard no_graph;
  const auto ready = normalize_pixels(on_device(pixels, device()), state_->config.preprocess);
  nn::check_pixels(ready, "ImageTower");
  return state_->module->features(ready, dtype_of(precision), layers);
}

const ImageTowerConfig& ImageTower::config() const { return state_->config; }
void ImageTower::to(c10::Device device) { state_->module->to(device); }
c10::Device ImageTower::device() const { return state_->module->parameters().front().device(); }
std::shared_ptr<nn::Tower> ImageTower::module() const { return state_->module; }

}  // namespace vlalign
