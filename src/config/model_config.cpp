#include "vlalign/config/model_config.hpp"

#include "config/validate.hpp"

namespace vlalign {

std::string family(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const auto& text = config.text;
  if (std::holds_alternative<OwnTowers>(config.vision)) return "custom";
  const bool bert =
      text.architecture == TextConfig::Architecture::bert && text.positions == TextConfig::Positions::learned;
  if (std::holds_alternative<EfficientNetConfig>(config.vision)) return bert ? "ALIGN" : "custom";
  if (is_masked_text(text) && text.peer_name.empty()) {
    const bool chinese = config.layout == Layout::hugging_face && bert && vit && vit->class_token;
    return chinese ? "Chinese-CLIP" : "custom";
  }
  if (config.image_projection.present) return "CLIP";
  return vit && !vit->class_token ? "SigLIP" : "custom";
}

}  // namespace vlalign
