// Which of our names is which of the peers'; read in open_clip's model.py, timm's vision_transformer.py and
// transformers' modeling_clip.py, modeling_siglip.py and modeling_align.py.
#include "core/check.hpp"
#include "model/peers/peer_names.hpp"

namespace vlalign {
namespace {

using Renames = std::vector<Rename>;

Renames operator+(Renames a, const Renames& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Blocks as CLIPModel and SiglipModel name them.
const Renames& hf_blocks() {
  static const Renames all{
      {"transformer.resblocks.", "encoder.layers."}, {".ln_1.", ".layer_norm1."}, {".ln_2.", ".layer_norm2."},
      {".attn.out_proj.", ".self_attn.out_proj."},   {".mlp.c_fc.", ".mlp.fc1."}, {".mlp.c_proj.", ".mlp.fc2."}};
  return all;
}

const std::vector<Part>& hf_parts() {
  static const std::vector<Part> all{
      {".self_attn.q_proj.", 0, 1}, {".self_attn.k_proj.", 1, 1}, {".self_attn.v_proj.", 2, 1}};
  return all;
}

constexpr std::string_view fused = ".attn.in_proj_";

const Renames& hf_embeddings() {
  static const Renames all{{"token_embedding.", "embeddings.token_embedding."},
                           {"positional_embedding", "embeddings.position_embedding.weight"},
                           {"class_embedding", "embeddings.class_embedding"},
                           {"conv1.", "embeddings.patch_embedding."}};
  return all;
}

NamingSchemes hugging_face_clip() {
  return {
      {.scope = "visual.",
       .renames = Renames{{"visual.", "vision_model."}, {"ln_pre.", "pre_layrnorm."}, {"ln_post.", "post_layernorm."}} +
                  hf_embeddings() + hf_blocks(),
       .fused = fused,
       .parts = hf_parts()},
      {.scope = "text.",
       .renames = Renames{{"text.", "text_model."}, {"ln_final.", "final_layer_norm."}} + hf_embeddings() + hf_blocks(),
       .fused = fused,
       .parts = hf_parts()},
      {.scope = "image_projection.", .renames = {{"image_projection.", "visual_projection."}}}};
}

NamingSchemes hugging_face_siglip() {
  auto schemes = hugging_face_clip();
  // The head's attention is torch's own, and keeps its fused tensors.
  schemes.insert(
      schemes.begin(),
      {.scope = "visual.head.",
       .renames = {{"visual.head.", "vision_model.head."}, {".mlp.c_fc.", ".mlp.fc1."}, {".mlp.c_proj.", ".mlp.fc2."}},
       .leading_ones = {{"probe", 2}}});
  schemes.push_back({.scope = "text_projection.", .renames = {{"text_projection.", "text_model.head."}}});
  schemes.push_back({.scope = "logit_", .leading_ones = {{"logit_", 1}}});
  return schemes;
}

const Renames& bert_names() {
  static const Renames all{{"transformer.resblocks.", "encoder.layer."},
                           {".ln_1.", ".attention.output.LayerNorm."},
                           {".ln_2.", ".output.LayerNorm."},
                           {".attn.out_proj.", ".attention.output.dense."},
                           {".mlp.c_fc.", ".intermediate.dense."},
                           {".mlp.c_proj.", ".output.dense."},
                           {"pooler.", "pooler.dense."}};
  return all;
}

const std::vector<Part>& bert_parts() {
  static const std::vector<Part> all{
      {".attention.self.query.", 0, 1}, {".attention.self.key.", 1, 1}, {".attention.self.value.", 2, 1}};
  return all;
}

NamingSchemes hugging_face_align() {
  return {{.scope = "visual.", .renames = {{"visual.", "vision_model."}}},
          {.scope = "text.",
           .renames = Renames{{"text.", "text_model."}} + bert_names(),
           .fused = fused,
           .parts = bert_parts()}};
}

/// timm's ViT, as open_clip's SigLIP models hold it.
NamingSchemes timm_vit() {
  const Renames mlp{{".mlp.c_fc.", ".mlp.fc1."}, {".mlp.c_proj.", ".mlp.fc2."}};
  return {{.scope = "visual.head.",
           .renames = Renames{{"visual.head.probe", "visual.trunk.attn_pool.latent"},
                              {"visual.head.", "visual.trunk.attn_pool."},
                              {".attention.out_proj.", ".proj."},
                              {".layernorm.", ".norm."}} +
                      mlp,
           .fused = ".attention.in_proj_",
           .parts = {{".q.", 0, 1}, {".kv.", 1, 2}},
           .leading_ones = {{"probe", 2}}},
          {.scope = "visual.",
           .renames = Renames{{"visual.", "visual.trunk."},
                              {"conv1.", "patch_embed.proj."},
                              {"positional_embedding", "pos_embed"},
                              {"transformer.resblocks.", "blocks."},
                              {".ln_1.", ".norm1."},
                              {".ln_2.", ".norm2."},
                              {".attn.in_proj_", ".attn.qkv."},
                              {".attn.out_proj.", ".attn.proj."},
                              {"ln_post.", "norm."}} +
                      mlp,
           .leading_ones = {{"positional_embedding", 1}}}};
}

NamingSchemes open_clip_vision(const ModelConfig& config) {
  if (std::holds_alternative<ModifiedResNetConfig>(config.vision))
    return {{.scope = "image_projection.", .renames = {{"image_projection.", "visual.attnpool.c_proj."}}}};
  if (std::holds_alternative<ResNetConfig>(config.vision))
    return {{.scope = "visual.", .renames = {{"visual.", "visual.trunk."}}},
            {.scope = "image_projection.", .renames = {{"image_projection.", "visual.head.proj."}}}};
  if (config.image_projection.present)
    return {{.scope = "image_projection.",
             .renames = {{"image_projection.weight", "visual.proj"}},
             .transposed = {"image_projection.weight"}}};
  return timm_vit();
}

NamingSchemes open_clip(const ModelConfig& config) {
  auto schemes = open_clip_vision(config);
  NamingScheme projection{.scope = "text_projection."};
  if (!config.text_projection.bias) {  // a matrix, not a layer
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

NamingSchemes gpt2() {
  return {{.scope = "",
           .renames = {{"transformer.resblocks.", "h."},
                       {"token_embedding.", "wte."},
                       {"positional_embedding", "wpe.weight"},
                       {"ln_final.", "ln_f."},
                       {".attn.in_proj_", ".attn.c_attn."},
                       {".attn.out_proj.", ".attn.c_proj."}},
           .transposed = {"in_proj_weight", "out_proj.weight", "c_fc.weight", "c_proj.weight"}}};
}

}  // namespace

NamingSchemes text_tower_schemes(const TextConfig& config) {
  if (config.architecture != TextConfig::Architecture::bert) return gpt2();
  return {{.scope = "", .renames = bert_names(), .fused = fused, .parts = bert_parts()}};
}

NamingSchemes naming_schemes(const ModelConfig& config, Layout layout) {
  const auto kind = family(config);
  if (layout == Layout::open_clip) {
    check(kind != "ALIGN", "model {}: open_clip has no EfficientNet of ALIGN's", config.name);
    return kind == "custom" ? NamingSchemes{} : open_clip(config);
  }
  if (kind == "CLIP") return hugging_face_clip();
  if (kind == "SigLIP") return hugging_face_siglip();
  if (kind == "ALIGN") return hugging_face_align();
  fail("model {}: transformers has no such model", config.name);
}

}  // namespace vlalign
