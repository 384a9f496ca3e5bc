// transformers' ChineseCLIPModel: CLIP's ViT and BERT, pooled at [CLS].
#include <cmath>

#include "model/peers/hugging_face_clip.hpp"
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/text_family.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

void read_chinese_clip(JsonSection& root, ModelConfig& config) {
  auto vision = old_or_new_section(root, "vision_config");
  auto text = old_or_new_section(root, "text_config");
  config.embed_dim = root.positive("projection_dim", 512);
  config.scale.initial = std::exp(root.number_between(scale_at_first_key, 2.6592, -50, 50));
  config.vision = vit_of(vision, {768, 3072, 12, 12, 32, "quick_gelu", 1e-5});
  config.preprocess.image_size = image_size_of(vision, 224);
  config.text = text_bert.read(text);
  config.text.pooler = false;
}

json write_chinese_clip(const ModelConfig& config) {
  check_plain_vision(config);
  auto block = config.text.block;
  block.dropout = block.attention_dropout = 0;  // keys of BERT's own
  check(config.text.pool == TextConfig::Pool::first && !config.text.pooler && block == BlockConfig{},
        "model {}: transformers' ChineseCLIPModel pools BERT's last [CLS], without a pooler", config.name);
  check(config.text_projection.present && !config.text_projection.bias && config.text_projection.hidden == 0,
        "model {}: transformers' ChineseCLIPModel has linear projections without a bias", config.name);
  auto vision = vit_json(std::get<VitConfig>(config.vision), config.preprocess.image_size);
  auto text = text_bert.write(config.text);
  text.erase("pooler");
  vision["model_type"] = "chinese_clip_vision_model";
  text["model_type"] = "chinese_clip_text_model";
  return {{"architectures", {"ChineseCLIPModel"}},
          {"model_type", "chinese_clip"},
          {"projection_dim", config.embed_dim},
          {scale_at_first_key, std::log(config.scale.initial)},
          {"vision_config", vision},
          {"text_config", text}};
}

NamingSchemes schemes_chinese_clip(const ModelConfig& config) {
  auto schemes = hugging_face_clip_schemes(config);
  auto text = text_bert.schemes(config.text).front();
  text.scope = "text.";
  text.renames.insert(text.renames.begin(), {"text.", "text_model."});
  for (auto& scheme : schemes)
    if (scheme.scope == text.scope) scheme = text;
  return schemes;
}

bool holds_chinese_clip(const ModelConfig& config) { return family(config) == "Chinese-CLIP"; }

}  // namespace

const HuggingFaceFamily hugging_face_chinese_clip{"chinese_clip",      "ChineseCLIP",      false,
                                                  read_chinese_clip,   holds_chinese_clip, write_chinese_clip,
                                                  schemes_chinese_clip};

}  // namespace vlalign
