#include "model/peers/tower_source.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "config/config_fields.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
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

TowerSource from_model(const fs::path& folder, const ModelConfig& config, const char* prefix) {
  ModelConfig source;
  FolderTensors from;
  read_whole_folder(folder, [&](const fs::path& place) {
    source = read_model_config(config_file_of(place));
    from = read_folder_tensors(place);
  });
  auto same = with_text(config, source.text);
  if (std::string_view(prefix) == "visual.") same = config, same.vision = source.vision;
  check_same_computation(same, config, folder);
  return {from.where, std::move(from.tensors), naming_schemes(source, source.layout), prefix, true};
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

TowerSource image_tower_source(const fs::path& path, const ModelConfig& config) {
  if (is_folder(path)) return from_model(path, config, "visual.");
  check(std::holds_alternative<ResNetConfig>(config.vision),
        "{}: a file alone can hold a torchvision ResNet, model {} "
        "has another image tower; name a model folder",
        path.string(), config.name);
  auto tensors = read_safetensors(path).tensors;
  std::erase_if(tensors, [](const auto& entry) { return entry.first.starts_with("fc."); });  // the classifier
  return {path.string(), std::move(tensors), {}, "", false};
}

TowerSource text_tower_source(const fs::path& folder, const ModelConfig& config) {
  const auto* family = text_family_alone(folder);
  if (!family) return from_model(folder, config, "text.");
  const auto text = read_text_config(folder);
  check_same_computation(with_text(config, text), config, folder);
  if (is_there(folder / "modules.json") && text.pool != config.text.pool)
    log_warning("{}: its own pooling is another than that of model {}, which stays", folder.string(), config.name);
  FolderTensors from;
  read_whole_folder(folder, [&](const fs::path& place) { from = read_folder_tensors(place); });
  return {from.where, text_model_only(from.tensors, *family, config.text.pooler), family->schemes(config.text), "",
          false};
}

void assign_tower(const torch::nn::Module& tower, const TowerSource& source) {
  const auto wanted = peer_tensors(tower, source.schemes, {}, source.prefix);
  auto tensors = with_resized_positions(source.tensors, wanted);
  if (source.whole_model) std::erase_if(tensors, [&](const auto& entry) { return !wanted.contains(entry.first); });
  assign_tensors(wanted, tensors, source.where);
}

}  // namespace vlalign
