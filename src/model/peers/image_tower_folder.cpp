#include "model/peers/image_tower_folder.hpp"

#include <algorithm>
#include <array>

#include "config/config_fields.hpp"
#include "config/image_size.hpp"
#include "config/validate.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/io/place.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/image_family.hpp"
#include "model/peers/model_folder.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

bool is_timm_config(const json& config) { return !config.contains("model_type") && config.contains("architecture"); }

const ImageFamily& image_family_in(JsonSection& root) {
  const auto type = root.require<std::string>("model_type");
  const auto* family = image_family_of_type(type);
  std::vector<std::string_view> known;
  for (const auto* each : image_families()) known.push_back(each->model_type);
  check(family != nullptr, "{}: model_type \"{}\" is no image tower that is built here: {}", root.where(), type,
        fmt::join(known, ", "));
  return *family;
}

ImageTowerConfig parse_transformers_tower(const json& config, const ImageProcessor& processor,
                                          const std::string& where) {
  JsonSection root(config, where);
  const auto& family = image_family_in(root);
  ImageTowerConfig tower{.vision = family.read(root)};
  auto& how = tower.preprocess;
  const auto* size = root.find("image_size");
  const int side = size ? image_side(*size, where + ".image_size") : 224;
  how.image_size = side;
  read_image_processor(processor, family.processor, where, how);
  check(how.image_size == side || family.any_size, "{}: gives pictures of {} px, {} has image_size {}", processor.where,
        how.image_size, where, side);
  return tower;
}

/// open_clip's layout knows no larger size before the crop.
void as_open_clip_prepares(Preprocess& how, const std::filesystem::path& path) {
  how.crop_rounds_down = false;
  if (how.resize_size > how.image_size)
    log_info("{}: pictures are resized to the {} px that the tower takes, and not to {} px before a crop",
             path.string(), how.image_size, how.resize_size);
  how.resize_size = 0;
}

/// What pre-training and classification leave beside the tower.
bool is_beside_tower(const std::string& name) {
  static constexpr std::array<std::string_view, 3> others{"embeddings.mask_token", "pooler.", "classifier."};
  return std::any_of(others.begin(), others.end(), [&](const auto& other) { return name.starts_with(other); });
}

TowerSource transformers_source(NamedTensors all, const std::string& where, const ImageFamily& family,
                                const VisionConfig& vision) {
  TowerSource source{
      .where = where, .schemes = family.schemes(vision), .prefix = "visual.", .restored = family.restored};
  const auto find = [&](const char* what) {
    const auto found = family.projection.empty() ? all.end() : all.find(std::string(family.projection) + what);
    return found == all.end() ? at::Tensor() : found->second;
  };
  source.projection_weight = find("weight"), source.projection_bias = find("bias");
  if (!family.projection.empty())
    std::erase_if(all, [&](const auto& entry) { return entry.first.starts_with(family.projection); });
  auto tensors = without_wrapper(all, family.wrapper);
  std::erase_if(tensors, [](const auto& entry) { return is_beside_tower(entry.first); });
  source.tensors = family.prepared ? family.prepared(std::move(tensors)) : std::move(tensors);
  return source;
}

}  // namespace

bool is_image_config(const json& config) {
  if (is_timm_config(config)) return true;
  const auto type = config.find("model_type");
  return type != config.end() && type->is_string() && image_family_of_type(type->get<std::string>());
}

ImageTowerConfig parse_image_config(const json& config, const ImageProcessor& processor, const std::string& where) {
  auto tower =
      is_timm_config(config) ? parse_timm_folder(config, where) : parse_transformers_tower(config, processor, where);
  ModelConfig whole;  // what is checked is the tower alone
  whole.vision = tower.vision, whole.preprocess = tower.preprocess;
  validate(whole, where + ":");
  return tower;
}

TowerSource image_tower_alone(const std::filesystem::path& path, const ImageTowerConfig& config) {
  if (!is_folder(path)) return image_file_source(read_safetensors(path).tensors, path.string());
  json root;
  FolderTensors from;
  read_whole_folder(path, [&](const std::filesystem::path& place) {
    root = read_json_object(place / "config.json");
    from = read_folder_tensors(place);
  });
  if (is_timm_config(root)) return timm_folder_source(std::move(from.tensors), from.where, root, config.vision);
  JsonSection section(root, (path / "config.json").string());
  return transformers_source(std::move(from.tensors), from.where, image_family_in(section), config.vision);
}

ImageTowerConfig read_image_config(const std::filesystem::path& path) {
  if (!is_folder(path)) {
    const auto config = image_config_of(read_safetensors(path).tensors, path.string());
    check(config.has_value(),
          "{}: no image tower that is built here by the names in it: torchvision's ResNet, R3M, VIP, LIV or Theia",
          path.string());
    return *config;
  }
  json root;
  ImageProcessor processor;
  read_whole_folder(path, [&](const std::filesystem::path& place) {
    root = read_json_object(place / "config.json");
    processor = image_processor_of(place);
  });
  return parse_image_config(root, processor, (path / "config.json").string());
}

ModelConfig with_image_tower(ModelConfig config, const std::filesystem::path& path, std::optional<int> image_size) {
  const bool alone = is_image_tower_alone(path);
  const auto tower = alone ? read_image_config(path) : ImageTowerConfig{config.vision, config.preprocess};
  auto other = config;
  other.vision = tower.vision;
  const bool same_file = !is_folder(path) && !first_difference(other, config);
  const auto pixels_as = config.preprocess.pixels_as;
  if (alone && !same_file) config.preprocess = tower.preprocess, config.preprocess.pixels_as = pixels_as;
  if (image_size) config.preprocess = with_image_size(config.preprocess, *image_size, "image_size");
  if (!alone || same_file) return config;
  config.vision = tower.vision;
  as_open_clip_prepares(config.preprocess, path);
  config.layout = Layout::open_clip;
  auto& projection = config.image_projection;
  projection = ProjectionConfig{.bias = std::holds_alternative<ModifiedResNetConfig>(config.vision)};
  // Where no table is resized, any way will do, and timm's is the one that a folder can say to open_clip.
  if (auto* vit = std::get_if<VitConfig>(&config.vision);
      vit && vit->position_side == config.preprocess.image_size / vit->patch_size)
    vit->position_resize = VitConfig::PositionResize::bicubic_antialiased;
  return config;
}

}  // namespace vlalign
