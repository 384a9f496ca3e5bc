#include "tower_source.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/files.hpp"
#include "core/folders.hpp"
#include "model_folder.hpp"
#include "positions.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

TowerSource from_model(const fs::path& folder, const char* prefix) {
  TowerSource source;
  read_whole_folder(folder, [&](const fs::path& place) {
    const auto config = read_model_config(config_file_of(place));
    auto [where, tensors] = read_folder_tensors(place);
    source = {where, std::move(tensors), naming_schemes(config, config.layout), prefix, true};
  });
  return source;
}

/// Without a language model's wrapper and head, and without buffers of masks.
NamedTensors text_model_only(const NamedTensors& tensors, std::string_view wrapper, bool pooler) {
  const bool wrapped =
      std::any_of(tensors.begin(), tensors.end(), [&](const auto& entry) { return entry.first.starts_with(wrapper); });
  NamedTensors kept;
  for (const auto& [name, tensor] : tensors) {
    if (wrapped && !name.starts_with(wrapper)) continue;
    const auto plain = wrapped ? name.substr(wrapper.size()) : name;
    const bool mask = plain.ends_with(".attn.bias") || plain.ends_with(".attn.masked_bias");
    if (!mask && (pooler || !plain.starts_with("pooler."))) kept.emplace(plain, tensor);
  }
  return kept;
}

bool holds_text_tower_alone(const fs::path& folder) {
  if (is_there(folder / "open_clip_config.json")) return false;
  try {
    read_text_config(folder);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

TowerSource image_tower_source(const fs::path& path, const ModelConfig& config) {
  if (is_folder(path)) return from_model(path, "visual.");
  check(std::holds_alternative<ResNetConfig>(config.vision),
        "{}: a file alone can hold a torchvision ResNet, model {} "
        "has another image tower; name a model folder",
        path.string(), config.name);
  auto tensors = read_safetensors(path).tensors;
  std::erase_if(tensors, [](const auto& entry) { return entry.first.starts_with("fc."); });  // the classifier
  return {path.string(), std::move(tensors), {}, "", false};
}

TowerSource text_tower_source(const fs::path& folder, const ModelConfig& config) {
  if (!holds_text_tower_alone(folder)) return from_model(folder, "text.");
  const bool bert = config.text.architecture == TextConfig::Architecture::bert;
  FolderTensors from;
  read_whole_folder(folder, [&](const fs::path& place) { from = read_folder_tensors(place); });
  const auto& [where, tensors] = from;
  return {where, text_model_only(tensors, bert ? "bert." : "transformer.", config.text.pooler),
          text_tower_schemes(config.text), "", false};
}

void assign_tower(const torch::nn::Module& tower, const TowerSource& source) {
  const auto wanted = peer_tensors(tower, source.schemes, {}, source.prefix);
  auto tensors = with_resized_positions(source.tensors, wanted);
  if (source.whole_model) std::erase_if(tensors, [&](const auto& entry) { return !wanted.contains(entry.first); });
  assign_tensors(wanted, tensors, source.where);
}

}  // namespace vlalign
