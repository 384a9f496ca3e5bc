// transformers' Siglip2Model: SigLIP 2 NaFlex.
#include "core/check.hpp"
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/hugging_face_siglip.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

/// Its table of positions is a square, its pictures have as many patches unless the image processor says otherwise.
void read_siglip2_model(JsonSection& root, ModelConfig& config) {
  read_siglip_model(root, config);
  auto vision = optional_section(root, "vision_config");
  auto& vit = std::get<VitConfig>(config.vision);
  const auto places = vision.positive("num_patches", 256);
  std::int64_t side = 1;
  while (side * side < places) ++side;
  check(side * side == places, "{}.num_patches: expected a square number, got {}", vision.where(), places);
  vit.position_side = side;
  vit.position_resize = VitConfig::PositionResize::bilinear_antialiased;
  vit.class_position = false;
  vit.most_patches = places;
  config.preprocess.image_size = static_cast<int>(side * vit.patch_size);
}

json write_siglip2_model(const ModelConfig& config) {
  auto plain = config;
  auto& vit = std::get<VitConfig>(plain.vision);
  const auto places = vit.position_side * vit.position_side;
  vit.class_position = true;
  auto out = write_siglip_model(plain);
  out["architectures"] = {"Siglip2Model"};
  out["model_type"] = "siglip2";
  out["vision_config"].erase("image_size");
  out["vision_config"]["num_patches"] = places;
  out["vision_config"]["model_type"] = "siglip2_vision_model";
  out["text_config"]["model_type"] = "siglip2_text_model";
  return out;
}

bool holds_siglip2_model(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  return family(config) == "SigLIP" && vit && vit->most_patches > 0;
}

NamingSchemes schemes_siglip2_model(const ModelConfig& config) {
  auto schemes = schemes_siglip_model(config);
  for (auto& scheme : schemes) {
    if (scheme.scope == "visual.") scheme.renames.push_back({"patch_embedding.", "embeddings.patch_embedding."});
  }
  return schemes;
}

}  // namespace

const HuggingFaceFamily hugging_face_siglip2{
    "siglip2", "Siglip2", true, read_siglip2_model, holds_siglip2_model, write_siglip2_model, schemes_siglip2_model};

}  // namespace vlalign
