// transformers' CLIPTextModel and SiglipTextModel, with their projections or without.
#include "model/peers/hugging_face_clip.hpp"
#include "model/peers/text_family.hpp"

namespace vlalign {
namespace {

/// Towers in folders of their own; whole models hold them as CLIP's or SigLIP's.
bool holds_half(const TextConfig&) { return false; }
nlohmann::json write_half(const TextConfig&) { return nlohmann::json::object(); }

NamingSchemes schemes_half(const TextConfig&) {
  return {{.scope = "",
           .renames = Renames{{"ln_final.", "final_layer_norm."}} + hugging_face_embeddings() + hugging_face_blocks(),
           .fused = {hugging_face_qkv()}}};
}

}  // namespace

const TextFamily text_clip{"clip_text_model", hugging_face_clip_text, holds_half,
                           write_half,        schemes_half,           "text_model."};
const TextFamily text_siglip{"siglip_text_model", hugging_face_siglip_text, holds_half, write_half, schemes_half,
                             "text_model."};

}  // namespace vlalign
