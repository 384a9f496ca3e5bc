#include "vlalign/config/model_config.hpp"

namespace vlalign {

std::string family(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const bool bert = config.text.architecture == TextConfig::Architecture::bert;
  if (std::holds_alternative<EfficientNetConfig>(config.vision) && bert) return "ALIGN";
  if (bert || std::holds_alternative<EfficientNetConfig>(config.vision) ||
      std::holds_alternative<OwnTowers>(config.vision))
    return "custom";
  if (config.image_projection.present) return "CLIP";
  return vit && !vit->class_token ? "SigLIP" : "custom";
}

}  // namespace vlalign
