// transformers' CLIPModel.
#include "model/peers/hugging_face_clip.hpp"

#include <algorithm>
#include <cmath>

#include "core/log.hpp"
#include "model/peers/hugging_face_keys.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

/// A key of CLIP's default that decides numbers and that OpenAI's and other weights don't share.
void warn_of_silence(JsonSection& section) {
  if (!section.has("hidden_act"))
    log_warning(
        "{} doesn't name hidden_act: quick_gelu is taken, transformers' default for CLIP and what OpenAI's "
        "weights need; models trained with open_clip mostly need gelu",
        section.where());
}

void read_clip_model(JsonSection& root, ModelConfig& config) {
  auto vision = old_or_new_section(root, "vision_config");
  auto text = old_or_new_section(root, "text_config");
  config.embed_dim = root.positive("projection_dim", 512);
  config.scale.initial = std::exp(root.number_between(scale_at_first_key, 2.6592, -50, 50));
  config.vision = hugging_face_clip_vit(vision);
  config.preprocess.image_size = image_size_of(vision, 224);
  config.text = hugging_face_clip_text(text);
}

json write_clip_model(const ModelConfig& config) {
  check_plain(config);
  auto vision = vit_json(std::get<VitConfig>(config.vision), config.preprocess.image_size);
  auto text = text_json(config.text);
  vision["projection_dim"] = text["projection_dim"] = config.embed_dim;
  // With 2 transformers pools at the largest id, as OpenAI does, with another at the first end token.
  const bool largest = config.text.pool == TextConfig::Pool::largest_id;
  text["eos_token_id"] = largest ? 2 : config.text.end_id;
  text["bos_token_id"] = std::max<std::int64_t>(0, largest ? config.text.vocab_size - 2 : config.text.end_id - 1);
  vision["model_type"] = "clip_vision_model";
  text["model_type"] = "clip_text_model";
  return {{"architectures", {"CLIPModel"}},
          {"model_type", "clip"},
          {"projection_dim", config.embed_dim},
          {scale_at_first_key, std::log(config.scale.initial)},
          {"vision_config", vision},
          {"text_config", text}};
}

bool holds_clip_model(const ModelConfig& config) { return family(config) == "CLIP"; }

/// Whether nothing but the dropout of attention's weights, which has a key of its own, is other than in CLIP's blocks.
bool has_plain_blocks(BlockConfig block) {
  block.attention_dropout = 0;
  return block == BlockConfig{};
}

}  // namespace

VitConfig hugging_face_clip_vit(JsonSection& vision) {
  warn_of_silence(vision);
  return vit_of(vision, {768, 3072, 12, 12, 32, "quick_gelu", 1e-5});
}

TextConfig hugging_face_clip_text(JsonSection& text) {
  warn_of_silence(text);
  auto config = text_of(text, {49408, 77, 512, 8, "quick_gelu", 1e-5});
  config.pad_id = token_id(text, "pad_token_id", 1);
  config.end_id = token_id(text, "eos_token_id", 49407);
  // Configs older than the key's repair say 2, and transformers pools them as OpenAI does.
  config.pool = config.end_id == 2 ? TextConfig::Pool::largest_id : TextConfig::Pool::end_token;
  config.token_std = text.number_between(token_std_key, config.token_std, 0, 100);
  return config;
}

JsonSection old_or_new_section(JsonSection& root, const char* key) {
  const auto old_key = std::string(key) + "_dict";
  const auto* old = root.find(old_key.c_str());
  if (!old) return optional_section(root, key);
  const auto section = root.section(old_key.c_str());
  if (const auto* current = root.find(key); current && *current != *old)
    log_info("{0}: {1} is taken, as transformers takes it, and {2} is not", root.where(), old_key, key);
  return section;
}

void check_plain_vision(const ModelConfig& config) {
  const auto* vit = std::get_if<VitConfig>(&config.vision);
  const bool siglip = family(config) == "SigLIP";
  const auto pool = siglip ? VitConfig::Pool::attention : VitConfig::Pool::token;
  const bool plain_vit =
      vit && vit->pool == pool && vit->ln_pre != siglip && vit->patch_bias == siglip && vit->stem.empty() &&
      !vit->norm_after_pool && vit->positions == VitConfig::Positions::learned && !vit->layer_scale && !vit->rotary &&
      vit->registers == 0 && vit->class_position && has_plain_blocks(vit->block) && vit->width % vit->head_width == 0;
  check(plain_vit && config.image_projection.hidden == 0 && !config.image_projection.bias,
        "model {}: transformers has no such image tower", config.name);
  check(!config.scale.temperature && config.scale.bias.has_value() == siglip,
        "model {}: transformers' {} has {} logit bias, and the scale's logarithm as its parameter", config.name,
        siglip ? "SigLIP" : "CLIP", siglip ? "a" : "no");
}

void check_plain(const ModelConfig& config) {
  check_plain_vision(config);
  const bool siglip = family(config) == "SigLIP";
  const auto& text = config.text;
  const bool ends = text.pool == TextConfig::Pool::largest_id || text.pool == TextConfig::Pool::end_token;
  const bool plain_text = text.causal != siglip && (siglip ? text.pool == TextConfig::Pool::last : ends) &&
                          !text.layer_scale && !text.class_embedding && has_plain_blocks(text.block) &&
                          config.text_projection.hidden == 0 && config.text_projection.present &&
                          config.text_projection.bias == siglip && text.architecture == TextConfig::Architecture::clip;
  check(plain_text, "model {}: transformers has no such text tower", config.name);
}

NamingSchemes hugging_face_clip_schemes(const ModelConfig&) {
  return {
      {.scope = "visual.",
       .renames = Renames{{"visual.", "vision_model."}, {"ln_pre.", "pre_layrnorm."}, {"ln_post.", "post_layernorm."}} +
                  hugging_face_embeddings() + hugging_face_blocks(),
       .fused = {hugging_face_qkv()}},
      {.scope = "text.",
       .renames = Renames{{"text.", "text_model."}, {"ln_final.", "final_layer_norm."}} + hugging_face_embeddings() +
                  hugging_face_blocks(),
       .fused = {hugging_face_qkv()}},
      {.scope = "image_projection.", .renames = {{"image_projection.", "visual_projection."}}}};
}

const HuggingFaceFamily hugging_face_clip{
    "clip", "CLIP", false, read_clip_model, holds_clip_model, write_clip_model, hugging_face_clip_schemes};

}  // namespace vlalign
