// The named models: presets.json holds open_clip's configs and two more.
#include "vlalign/model/presets.hpp"

#include <algorithm>
#include <string>

#include "core/check.hpp"
#include "core/json/parse_json.hpp"
#include "model/peers/config_json.hpp"
#include "model/presets_json.hpp"

namespace vlalign {
namespace {

constexpr std::string_view quick_suffix = "-quickgelu";

const nlohmann::json& presets() {
  static const auto all = parse_json(presets_json, "presets.json");
  return all;
}

/// The sizes with CLIP's text tower and vocabulary, which OpenAI trained with the quick GELU.
bool has_quick_variant(const nlohmann::json& model) {
  const auto text = model.find("text_cfg");
  const auto vision = model.find("vision_cfg");
  return text != model.end() && !text->contains("hf_tokenizer_name") && !text->contains("hf_model_name") &&
         !text->contains("text_arch") && !vision->contains("timm_model_name");
}

ModelConfig with_quick_gelu(ModelConfig config) {
  config.text.activation = Activation::quick_gelu;
  if (auto* vit = std::get_if<VitConfig>(&config.vision)) vit->activation = Activation::quick_gelu;
  return config;
}

/// The names that come closest, for who mistypes one.
std::vector<std::string> similar_names(std::string_view name) {
  std::vector<std::string> similar;
  constexpr std::size_t beginning = 5;
  for (const auto& [known, model] : presets().items())
    if (known.starts_with(name.substr(0, beginning))) similar.push_back(known);
  return similar.empty() ? std::vector<std::string>{"tiny", "ViT-B-32", "ViT-B-16-SigLIP"} : similar;
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& [name, model] : presets().items()) {
    names.push_back(name);
    const auto quick = name + std::string(quick_suffix);
    if (has_quick_variant(model) && !name.ends_with(quick_suffix) && !presets().contains(quick)) names.push_back(quick);
  }
  return names;
}

ModelConfig preset(std::string_view name) {
  const auto& all = presets();
  const auto config_of = [&](std::string_view key) {
    const std::string own(key);
    const auto& model = all.at(own);
    auto config = parse_model_config(model, {own, model.value("image_processor", nlohmann::json::object())}, own);
    config.name = name;
    return config;
  };
  if (all.contains(name)) return config_of(name);
  const bool quick = name.ends_with(quick_suffix);
  const auto base = quick ? name.substr(0, name.size() - quick_suffix.size()) : name;
  if (quick && all.contains(base) && has_quick_variant(all.at(std::string(base))))
    return with_quick_gelu(config_of(base));
  fail("unknown model \"{}\": it is a .json file or a name of open_clip's such as {}", name,
       fmt::join(similar_names(name), ", "));
}

}  // namespace vlalign
