// transformers' MetaClip2Model: CLIP for captions in all languages, whose text tower pools at the end token.
#include "model/peers/hugging_face_clip.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

/// The end token that CLIPModel takes for a sign to pool at the largest id, and XLM-V's own.
constexpr std::int64_t xlm_v_end = 2, xlm_v_start = 0;

void read_metaclip_2(JsonSection& root, ModelConfig& config) {
  hugging_face_clip.read(root, config);
  config.text.pool = TextConfig::Pool::end_token;
}

json write_metaclip_2(const ModelConfig& config) {
  auto out = hugging_face_clip.write(config);
  out["architectures"] = {"MetaClip2Model"};
  out["model_type"] = "metaclip_2";
  out["vision_config"]["model_type"] = "metaclip_2_vision_model";
  out["text_config"]["model_type"] = "metaclip_2_text_model";
  out["text_config"]["bos_token_id"] = xlm_v_start;
  return out;
}

/// CLIPModel holds the others.
bool holds_metaclip_2(const ModelConfig& config) {
  const auto& text = config.text;
  return family(config) == "CLIP" && text.pool == TextConfig::Pool::end_token && text.end_id == xlm_v_end;
}

}  // namespace

const HuggingFaceFamily hugging_face_metaclip_2{
    "metaclip_2", "CLIP", false, read_metaclip_2, holds_metaclip_2, write_metaclip_2, hugging_face_clip_schemes};

}  // namespace vlalign
