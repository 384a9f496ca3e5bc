// transformers' configs of whole models, read and written.
#include "core/utf8.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/hugging_face_family.hpp"

namespace vlalign {
namespace {

const HuggingFaceFamily& family_of_type(const std::string& type, const std::string& file) {
  std::vector<std::string_view> known;
  for (const auto* family : hugging_face_families()) {
    if (family->model_type == type) return *family;
    known.push_back(family->model_type);
  }
  fail("{}: model_type \"{}\" is not one that is built here: {}", file, type, fmt::join(known, ", "));
}

}  // namespace

ModelConfig read_hugging_face_config(const nlohmann::json& root, const ImageProcessor& processor,
                                     const std::filesystem::path& file) {
  ModelConfig config;
  config.layout = Layout::hugging_face;
  config.name = as_utf8(file.parent_path().filename().string());
  JsonSection top(root, file.string());
  const auto& family = family_of_type(top.require<std::string>("model_type"), file.string());
  family.read(top, config);
  const auto size = config.preprocess.image_size;
  read_image_processor(processor, family.processor, file.string(), config.preprocess);
  check(config.preprocess.image_size == size || family.any_size, "{}: gives pictures of {} px, {} has image_size {}",
        processor.where, config.preprocess.image_size, file.string(), size);
  if (auto* vit = std::get_if<VitConfig>(&config.vision); vit && vit->most_patches > 0 && !processor.values.is_null())
    vit->most_patches = JsonSection(processor.values, processor.where).positive("max_num_patches", vit->most_patches);
  return config;
}

std::vector<ConfigFile> hugging_face_config_files(const ModelConfig& config) {
  const auto& family = hugging_face_family_of(config);
  auto root = family.write(config);
  root["dtype"] = "float32";
  return {{"config.json", root.dump(2) + "\n"}, {preprocessor_config, image_processor_json(config, family.processor)}};
}

}  // namespace vlalign
