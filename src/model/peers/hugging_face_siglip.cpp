// transformers' SiglipModel: SigLIP, and SigLIP 2 of fixed resolution.
#include "model/peers/hugging_face_siglip.hpp"

#include <cmath>

#include "model/peers/hugging_face_clip.hpp"
#include "model/peers/hugging_face_keys.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

/// The scale and bias that SigLIP starts with (Zhai et al. 2023, section 3.2).
constexpr double siglip_scale = 10.0, siglip_bias = -10.0;

}  // namespace

void read_siglip_model(JsonSection& root, ModelConfig& config) {
  auto vision = optional_section(root, "vision_config");
  auto text = optional_section(root, "text_config");
  const auto vit = hugging_face_siglip_vit(vision);
  config.preprocess.image_size = image_size_of(vision, 224);
  config.text = hugging_face_siglip_text(text);
  config.embed_dim = text.positive("projection_size", config.text.width);
  check(config.embed_dim == vit.width, "{}.projection_size {} differs from the vision tower's width {}", text.where(),
        config.embed_dim, vit.width);
  config.vision = vit;
  config.image_projection = {.present = false, .bias = false};
  config.text_projection = {.present = true, .bias = true};
  config.scale = {.temperature = false, .initial = siglip_scale, .bias = root.get(bias_at_first_key, siglip_bias)};
  if (root.has(scale_at_first_key))
    config.scale.initial = std::exp(root.number_between(scale_at_first_key, 0, -50, 50));
}

json write_siglip_model(const ModelConfig& config) {
  check_plain(config);
  auto vision = vit_json(std::get<VitConfig>(config.vision), config.preprocess.image_size);
  auto text = text_json(config.text);
  text["projection_size"] = config.embed_dim;
  text["eos_token_id"] = config.text.end_id;
  vision["vision_use_head"] = true;
  vision["model_type"] = "siglip_vision_model";
  text["model_type"] = "siglip_text_model";
  json out{
      {"architectures", {"SiglipModel"}}, {"model_type", "siglip"}, {"vision_config", vision}, {"text_config", text}};
  if (config.scale.initial != siglip_scale) out[scale_at_first_key] = std::log(config.scale.initial);
  set_unless(out, bias_at_first_key, *config.scale.bias, siglip_bias);
  return out;
}

NamingSchemes schemes_siglip_model(const ModelConfig&) {
  auto schemes = hugging_face_siglip_schemes();
  schemes.push_back({.scope = "text_projection.", .renames = {{"text_projection.", "text_model.head."}}});
  schemes.push_back({.scope = "logit_", .leading_ones = {{"logit_", 1}}});
  return schemes;
}

namespace {

bool holds_siglip_model(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  return family(config) == "SigLIP" && vit && vit->most_patches == 0;
}

}  // namespace

VitConfig hugging_face_siglip_vit(JsonSection& vision) {
  auto vit = vit_of(vision, {768, 3072, 12, 12, 16, "gelu_pytorch_tanh", 1e-6});
  check(vision.get<bool>("vision_use_head", true), "{}.vision_use_head: only true is built here", vision.where());
  vit.pool = VitConfig::Pool::attention;
  vit.class_token = false;
  vit.patch_bias = true;
  vit.ln_pre = false;
  return vit;
}

TextConfig hugging_face_siglip_text(JsonSection& text) {
  auto config = text_of(text, {32000, 64, 768, 12, "gelu_pytorch_tanh", 1e-6});
  config.pad_id = token_id(text, "pad_token_id", 1);
  config.end_id = token_id(text, "eos_token_id", 1);
  config.pool = TextConfig::Pool::last;
  config.causal = false;
  config.token_std = text.number_between(token_std_key, config.token_std, 0, 100);
  return config;
}

NamingSchemes hugging_face_siglip_schemes() {
  // The head's attention is torch's own, and keeps its fused tensors.
  NamingSchemes schemes{
      {.scope = "visual.head.",
       .renames = {{"visual.head.", "vision_model.head."}, {".mlp.c_fc.", ".mlp.fc1."}, {".mlp.c_proj.", ".mlp.fc2."}},
       .leading_ones = {{"probe", 2}}}};
  const auto others = hugging_face_clip_schemes({});
  schemes.insert(schemes.end(), others.begin(), others.end());
  return schemes;
}

const HuggingFaceFamily hugging_face_siglip{
    "siglip", "Siglip", false, read_siglip_model, holds_siglip_model, write_siglip_model, schemes_siglip_model};

}  // namespace vlalign
