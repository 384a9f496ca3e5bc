// The named models: presets.json holds open_clip's configs and two more.
#include "vlalign/model/presets.hpp"

#include <algorithm>
#include <cctype>
#include <string>
#include <tuple>
#include <utility>

#include "core/check.hpp"
#include "core/edit_distance.hpp"
#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "model/named_tokenizer.hpp"
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

namespace {

/// Small letters, and one kind of line between words.
std::string plainly_spelled(std::string_view name) {
  std::string plain(name);
  std::transform(plain.begin(), plain.end(), plain.begin(), [](unsigned char c) {
    return c == '_' || c == ' ' || c == '/' ? '-' : static_cast<char>(std::tolower(c));
  });
  return plain;
}

/// The names that come closest, for who mistypes one, the closest first; those that hold it before others.
std::vector<std::string> similar_names(std::string_view name) {
  constexpr std::size_t most = 4;
  if (name.empty() || name.size() > 100) return {"tiny", "ViT-B-32", "ViT-B-16-SigLIP"};
  const auto wanted = plainly_spelled(name);
  std::vector<std::tuple<bool, std::size_t, std::string>> names;
  for (auto& known : preset_names()) {
    const auto spelled = plainly_spelled(known);
    names.emplace_back(spelled.find(wanted) == spelled.npos, edit_distance(wanted, spelled), std::move(known));
  }
  std::sort(names.begin(), names.end());
  std::vector<std::string> similar;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i) similar.push_back(std::move(std::get<2>(names[i])));
  return similar;
}

}  // namespace

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
  if (quick && !base.ends_with(quick_suffix) && all.contains(base) && has_quick_variant(all.at(std::string(base))))
    return with_quick_gelu(config_of(base));
  fail("unknown model \"{}\": expected a .json file or a name of open_clip's, such as {}", name,
       fmt::join(similar_names(name), ", "));
}

std::string named_tokenizer(const std::string& model) {
  const auto root =
      model.ends_with(".json") ? read_json_object(model) : presets().value(model, nlohmann::json::object());
  const auto config = root.value("model_cfg", root);
  const auto text = config.is_object() ? config.value("text_cfg", nlohmann::json()) : nlohmann::json();
  for (const auto* key : {"hf_tokenizer_name", "hf_model_name"}) {
    const auto name = text.is_object() ? text.value(key, nlohmann::json()) : nlohmann::json();
    if (name.is_string() && name != "") return name.get<std::string>();
  }
  return {};
}

}  // namespace vlalign
