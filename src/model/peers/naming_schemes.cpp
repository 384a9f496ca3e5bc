// Which of our names is which of the peers'; read in open_clip's model.py and timm_model.py.
#include "core/check.hpp"
#include "model/peers/hugging_face_family.hpp"
#include "model/peers/open_clip_hf_text.hpp"
#include "model/peers/open_clip_modern_text.hpp"
#include "model/peers/peer_names.hpp"
#include "model/peers/timm_family.hpp"

namespace vlalign {
namespace {

/// open_clip's head behind a tower of timm's, or the tower's own classifier.
NamingScheme timm_projection(const TimmFamily& family, const ProjectionConfig& projection) {
  NamingScheme scheme{.scope = "image_projection."};
  if (projection.of_tower) {
    scheme.renames = {{"image_projection.", family.classifier}};
  } else if (projection.hidden > 0) {
    scheme.renames = {{"image_projection.hidden.", "visual.head.mlp.fc1."},
                      {"image_projection.", "visual.head.mlp.fc2."}};
  } else {
    scheme.renames = {{"image_projection.", "visual.head.proj."}};
  }
  return scheme;
}

NamingSchemes open_clip_vision(const ModelConfig& config) {
  if (std::holds_alternative<ModifiedResNetConfig>(config.vision))
    return {{.scope = "image_projection.", .renames = {{"image_projection.", "visual.attnpool.c_proj."}}}};
  if (const auto* family = timm_family_of(config)) {
    auto schemes = family->schemes(config.vision);
    schemes.push_back(timm_projection(*family, config.image_projection));
    return schemes;
  }
  return {{.scope = "image_projection.",
           .renames = {{"image_projection.weight", "visual.proj"}},
           .transposed = {"image_projection.weight"}}};
}

NamingSchemes open_clip(const ModelConfig& config) {
  auto schemes = open_clip_vision(config);
  if (!config.text.peer_name.empty()) {
    const auto text = hf_text_schemes(config);
    schemes.insert(schemes.end(), text.begin(), text.end());
    return schemes;
  }
  NamingScheme projection{.scope = "text_projection."};
  const bool modern = config.text.architecture == TextConfig::Architecture::modern;
  if (modern) schemes.push_back(modern_text_scheme(config.text));
  if (!modern && !config.text_projection.bias) {  // a matrix, not a layer
    projection.renames = {{"text_projection.weight", "text_projection"}};
    projection.transposed = {"text_projection.weight"};
  }
  if (config.custom_text) {
    projection.renames.push_back({"text_projection", "text.text_projection"});
  } else {
    schemes.push_back({.scope = "text.", .renames = {{"text.", ""}}});
  }
  schemes.push_back(projection);
  return schemes;
}

}  // namespace

NamingSchemes naming_schemes(const ModelConfig& config, Layout layout) {
  if (layout == Layout::hugging_face) return hugging_face_family_of(config).schemes(config);
  const auto kind = family(config);
  check(kind != "ALIGN", "model {}: open_clip has no EfficientNet of ALIGN's", config.name);
  return kind == "custom" ? NamingSchemes{} : open_clip(config);
}

}  // namespace vlalign
