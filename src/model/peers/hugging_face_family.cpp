#include "model/peers/hugging_face_family.hpp"

#include <algorithm>
#include <array>

#include "core/check.hpp"

namespace vlalign {

std::span<const HuggingFaceFamily* const> hugging_face_families() {
  static constexpr std::array all{&hugging_face_metaclip_2, &hugging_face_clip,  &hugging_face_siglip,
                                  &hugging_face_siglip2,    &hugging_face_align, &hugging_face_chinese_clip};
  return all;
}

const HuggingFaceFamily& hugging_face_family_of(const ModelConfig& config) {
  const auto families = hugging_face_families();
  const auto found =
      std::find_if(families.begin(), families.end(), [&](const auto* family) { return family->holds(config); });
  check(found != families.end(), "model {}: transformers has no such model", config.name);
  return **found;
}

const Renames& hugging_face_blocks() {
  static const Renames all{
      {"transformer.resblocks.", "encoder.layers."}, {".ln_1.", ".layer_norm1."}, {".ln_2.", ".layer_norm2."},
      {".attn.out_proj.", ".self_attn.out_proj."},   {".mlp.c_fc.", ".mlp.fc1."}, {".mlp.c_proj.", ".mlp.fc2."}};
  return all;
}

const Renames& hugging_face_embeddings() {
  static const Renames all{{"token_embedding.", "embeddings.token_embedding."},
                           {"positional_embedding", "embeddings.position_embedding.weight"},
                           {"class_embedding", "embeddings.class_embedding"},
                           {"conv1.", "embeddings.patch_embedding."}};
  return all;
}

const Fused& hugging_face_qkv() {
  static const Fused all{
      ".attn.in_proj_", 3, {{".self_attn.q_proj.", 0, 1}, {".self_attn.k_proj.", 1, 1}, {".self_attn.v_proj.", 2, 1}}};
  return all;
}

}  // namespace vlalign
