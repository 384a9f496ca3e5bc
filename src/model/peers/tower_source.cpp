#include "model/peers/tower_source.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "config/config_fields.hpp"
#include "config/validate.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/io/place.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "model/peers/hugging_face_family.hpp"
#include "model/peers/image_tower_folder.hpp"
#include "model/peers/model_folder.hpp"
#include "model/peers/positions.hpp"
#include "model/peers/text_family.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

ModelConfig with_text(ModelConfig config, const TextConfig& text) {
  // Which feature is taken and how long the vocabulary is stays the model's choice; the latter's tensors have to fit.
  const auto own = config.text;
  config.text = text;
  config.text.pool = own.pool;
  config.text.vocab_size = own.vocab_size;
  return config;
}

/// Where the model is to have another size than the folder.
Resizing resizing_between(const ModelConfig& source, const ModelConfig& config) {
  return {.image = source.preprocess.image_size != config.preprocess.image_size,
          .text = position_rows(source.text) != position_rows(config.text),
          .as_peer = source.layout == Layout::open_clip};
}

TowerSource from_model(const fs::path& folder, const ModelConfig& config, bool text) {
  ModelConfig source;
  FolderTensors from;
  read_whole_folder(folder, [&](const fs::path& place) {
    source = read_model_config(config_file_of(place));
    from = read_folder_tensors(place);
  });
  auto same = text ? with_text(config, source.text) : config;
  if (!text) same.vision = source.vision;
  check_same_computation(same, config, folder);
  return {.where = from.where,
          .tensors = std::move(from.tensors),
          .schemes = naming_schemes(source, source.layout),
          .prefix = text ? "text." : "visual.",
          .text = text,
          .whole_model = true,
          .resizing = resizing_between(source, config)};
}

/// What stands before a tower's names, a model's own name and a language model's wrapper, or nothing.
std::string wrapper_of(const NamedTensors& tensors, const TextFamily& family) {
  for (const auto* outer : {"model.", ""}) {
    const auto wrapper = std::string(outer) + std::string(family.wrapper);
    const auto found = tensors.lower_bound(wrapper);
    if (found != tensors.end() && found->first.starts_with(wrapper)) return wrapper;
  }
  return "";
}

/// Without a language model's wrapper, its decoder and head, and without buffers of masks.
NamedTensors text_model_only(const NamedTensors& tensors, const TextFamily& family, bool pooler) {
  const auto wrapper = wrapper_of(tensors, family);
  NamedTensors kept;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with(wrapper)) continue;
    const auto plain = name.substr(wrapper.size());
    const bool mask = plain.ends_with(".attn.bias") || plain.ends_with(".attn.masked_bias");
    if (!mask && (pooler || !plain.starts_with("pooler."))) kept.emplace(plain, tensor);
  }
  for (const auto* name : {"shared.weight", "model.shared.weight"})
    if (const auto found = tensors.find(name); !family.shared.empty() && found != tensors.end())
      kept.emplace(family.shared, found->second);
  return kept;
}

/// CLIP's lies beside the inner model, SigLIP's in it.
void take_text_projection(NamedTensors& tensors, TowerSource& source) {
  for (const std::string layer : {"text_projection.", "text_model.head.", "head."}) {
    const auto take = [&](const char* what, at::Tensor& into) {
      const auto found = tensors.find(layer + what);
      if (found == tensors.end()) return;
      into = found->second;
      tensors.erase(found);
    };
    take("weight", source.projection_weight);
    take("bias", source.projection_bias);
  }
}

/// With the other's way to resize positions where nothing is resized, and with its table where one is resized once.
ModelConfig as_table_of(ModelConfig config, const ModelConfig& other) {
  auto* vit = std::get_if<VitConfig>(&config.vision);
  const auto* theirs = std::get_if<VitConfig>(&other.vision);
  if (!vit || !theirs) return config;
  if (theirs->position_side == 0) vit->position_side = 0;
  const bool resizes =
      theirs->position_side > 0 && theirs->position_side != other.preprocess.image_size / theirs->patch_size;
  if (!resizes) vit->position_resize = theirs->position_resize;
  return config;
}

/// Of a text tower alone; null for the folder of a whole model.
const TextFamily* text_family_alone(const fs::path& folder) {
  if (layout_of(folder) == Layout::open_clip) return nullptr;
  const auto file = folder / "config.json";
  const auto root = read_json_object(file);
  return text_family_of_type(JsonSection(root, file.string()).require<std::string>("model_type"));
}

}  // namespace

void check_same_computation(const ModelConfig& source, const ModelConfig& config, const fs::path& folder) {
  const auto differs = first_difference(computation_of(source), computation_of(config));
  if (differs)
    fail("{}: {} is {} there and {} in model {}", folder.string(), differs->name, differs->a, differs->b, config.name);
}

bool is_image_tower_alone(const fs::path& path) {
  if (!is_folder(path)) return true;
  const auto file = path / "config.json";
  return layout_of(path) != Layout::open_clip && is_there(file) && is_image_config(read_json_object(file));
}

/// A folder of neither kind is read as a tower, so that an error tells those that are built here.
bool is_text_tower_alone(const fs::path& folder) {
  if (layout_of(folder) == Layout::open_clip) return false;
  const auto root = read_json_object(folder / "config.json");
  const auto type = root.find("model_type");
  const auto families = hugging_face_families();
  return std::none_of(families.begin(), families.end(), [&](const auto* family) {
    return type != root.end() && *type == std::string(family->model_type);
  });
}

TowerSource image_tower_source(const fs::path& path, const ModelConfig& config) {
  if (!is_image_tower_alone(path)) return from_model(path, config, /*text=*/false);
  const auto tower = read_image_config(path);
  auto same = config;
  same.vision = tower.vision;
  check_same_computation(as_table_of(same, config), config, path);
  auto source = image_tower_alone(path, {config.vision, config.preprocess});
  source.resizing.image = tower.preprocess.image_size != config.preprocess.image_size;
  return source;
}

TowerSource text_tower_source(const fs::path& folder, const ModelConfig& config) {
  const auto* family = text_family_alone(folder);
  if (!family) return from_model(folder, config, /*text=*/true);
  const auto text = read_text_config(folder);
  check_same_computation(with_text(config, text), config, folder);
  if (is_there(folder / "modules.json") && text.pool != config.text.pool)
    log_warning("{}: its own pooling is another than that of model {}, which stays", folder.string(), config.name);
  FolderTensors from;
  read_whole_folder(folder, [&](const fs::path& place) { from = read_folder_tensors(place); });
  TowerSource source{.where = from.where,
                     .schemes = family->schemes(config.text),
                     .text = true,
                     .resizing = {.text = position_rows(text) != position_rows(config.text)}};
  take_text_projection(from.tensors, source);
  source.tensors = text_model_only(from.tensors, *family, config.text.pooler);
  return source;
}

void assign_tower(const torch::nn::Module& tower, const TowerSource& source) {
  const auto wanted = peer_tensors(tower, source.schemes, {}, source.prefix);
  auto tensors = with_resized_positions(source.tensors, wanted, source.text ? PositionsOf::text : PositionsOf::image,
                                        source.resizing, source.where);
  if (source.whole_model) std::erase_if(tensors, [&](const auto& entry) { return !wanted.contains(entry.first); });
  assign_tensors(wanted, tensors, source.where);
}

void assign_projection(const nn::Projection* projection, const TowerSource& source) {
  const auto& weight = source.projection_weight;
  const auto& bias = source.projection_bias;
  if (!weight.defined()) return;
  const bool fits = projection && !projection->hidden && projection->weight.sizes() == weight.sizes() &&
                    projection->bias.defined() == bias.defined();
  if (!fits) {
    log_info("{}: its projection {}{} is left out, the model has another", source.where, weight.sizes().vec(),
             bias.defined() ? " with a bias" : "");
    return;
  }
  NamedTensors wanted{{"projection.weight", projection->weight.detach()}}, tensors{{"projection.weight", weight}};
  if (bias.defined()) wanted["projection.bias"] = projection->bias.detach(), tensors["projection.bias"] = bias;
  assign_tensors(wanted, tensors, source.where);
  log_info("{}: its projection {} is taken too", source.where, weight.sizes().vec());
}

}  // namespace vlalign
