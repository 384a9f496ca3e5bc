#include "vlalign/model/config.hpp"

#include "config_json.hpp"
#include "core/files.hpp"
#include "core/parse_json.hpp"

namespace vlalign {
namespace {

nlohmann::json parse_object(const std::filesystem::path& file) {
  auto root = parse_json(read_file(file), file.string());
  check(root.is_object(), "{}: expected an object, got {}", file.string(), root.type_name());
  return root;
}

}  // namespace

std::string family(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const bool bert = config.text.architecture == TextConfig::Architecture::bert;
  if (std::holds_alternative<EfficientNetConfig>(config.vision) && bert) return "ALIGN";
  if (bert || std::holds_alternative<EfficientNetConfig>(config.vision) ||
      std::holds_alternative<OwnTowers>(config.vision))
    return "custom";
  if (!vit || vit->class_token) return config.image_projection.present ? "CLIP" : "custom";
  return config.image_projection.present ? "custom" : "SigLIP";
}

std::vector<ConfigFile> config_files(const ModelConfig& config) {
  if (config.layout == Layout::hugging_face) return hugging_face_config_files(config);
  return {{"open_clip_config.json", to_open_clip_json(config)}};
}

ModelConfig with_layout(ModelConfig config, Layout layout) {
  if (layout == config.layout) return config;
  config.layout = layout;
  config.custom_text = layout == Layout::open_clip && family(config) == "SigLIP";
  config.preprocess.crop_rounds_down = layout == Layout::hugging_face;
  return config;
}

TextConfig read_text_config(const std::filesystem::path& folder) {
  const auto file = folder / "config.json";
  const auto root = parse_object(file);
  JsonSection section(root, file.string());
  const auto type = section.require<std::string>("model_type");
  check(type == "bert" || type == "gpt2", "{}: model_type \"{}\" is no text tower that is built here: bert or gpt2",
        file.string(), type);
  return type == "bert" ? bert_of(section) : gpt2_of(section);
}

ModelConfig read_model_config(const std::filesystem::path& file) {
  const auto root = parse_object(file);
  try {
    return root.contains("model_type") ? read_hugging_face_config(root, file) : read_open_clip_config(root, file);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: {}", file.string(), error.what());
  }
}

}  // namespace vlalign
