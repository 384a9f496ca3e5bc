// transformers' AlignModel: EfficientNet and BERT.
#include "model/peers/efficientnet_json.hpp"
#include "model/peers/hugging_face_family.hpp"
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/text_family.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

void read_align_model(JsonSection& root, ModelConfig& config) {
  auto vision = optional_section(root, "vision_config");
  auto text = optional_section(root, "text_config");
  config.embed_dim = root.positive("projection_dim", 640);
  config.vision = efficientnet_of(vision);
  config.preprocess.image_size = image_size_of(vision, 600);
  config.text = text_bert.read(text);
  config.text.pooler = text.get<bool>("pooler", true);  // transformers always has one
  config.image_projection = {.present = false, .bias = false};
  config.text_projection = {.present = true, .bias = true};
  config.scale = {.temperature = true, .initial = 1 / root.number_between("temperature_init_value", 1.0, 1e-6, 1e6)};
}

json write_align_model(const ModelConfig& config) {
  auto vision = to_json(std::get<EfficientNetConfig>(config.vision));
  vision["image_size"] = config.preprocess.image_size;
  vision["model_type"] = "align_vision_model";
  auto text = text_bert.write(config.text);
  text["model_type"] = "align_text_model";
  return {{"architectures", {"AlignModel"}},
          {"model_type", "align"},
          {"projection_dim", config.embed_dim},
          {"temperature_init_value", 1 / config.scale.initial},
          {"vision_config", vision},
          {"text_config", text}};
}

NamingSchemes schemes_align_model(const ModelConfig& config) {
  auto text = text_bert.schemes(config.text).front();
  text.scope = "text.";
  text.renames.insert(text.renames.begin(), {"text.", "text_model."});
  return {{.scope = "visual.", .renames = {{"visual.", "vision_model."}}}, text};
}

bool holds_align_model(const ModelConfig& config) { return family(config) == "ALIGN"; }

}  // namespace

const HuggingFaceFamily hugging_face_align{
    "align", "EfficientNet", true, read_align_model, holds_align_model, write_align_model, schemes_align_model};

}  // namespace vlalign
