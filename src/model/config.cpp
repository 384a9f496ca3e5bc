#include "vlalign/model/config.hpp"

#include "config_json.hpp"
#include "core/files.hpp"
#include "core/parse_json.hpp"

namespace vlalign {

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

ModelConfig read_model_config(const std::filesystem::path& file) {
  const auto root = parse_json(read_file(file), file.string());
  check(root.is_object(), "{}: expected an object, got {}", file.string(), root.type_name());
  try {
    return root.contains("model_type") ? read_hugging_face_config(root, file) : read_open_clip_config(root, file);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: {}", file.string(), error.what());
  }
}

}  // namespace vlalign
