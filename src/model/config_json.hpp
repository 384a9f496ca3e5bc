// The configs of one layout, and the towers' own parts of them.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "json_section.hpp"
#include "vlalign/model/config.hpp"

namespace vlalign {

ModelConfig read_open_clip_config(const nlohmann::json& root, const std::filesystem::path& file);

/// file: the config.json; preprocessor_config.json is read beside it.
ModelConfig read_hugging_face_config(const nlohmann::json& root, const std::filesystem::path& file);

/// A file of a model folder: its name and text.
struct ConfigFile {
  std::string name, text;
};
/// config.json and preprocessor_config.json.
std::vector<ConfigFile> hugging_face_config_files(const ModelConfig& config);

/// What the config file of the model's own layout says.
std::string config_text(const ModelConfig& config);

/// The same model as another peer's folder holds it.
ModelConfig with_layout(ModelConfig config, Layout layout);

/// transformers' keys for the towers that it alone names; open_clip-like configs of custom models use them too.
EfficientNetConfig efficientnet_of(JsonSection section);
nlohmann::json to_json(const EfficientNetConfig& config);
TextConfig bert_of(JsonSection section);
nlohmann::json bert_json(const TextConfig& config);
/// GPT2Config's.
TextConfig gpt2_of(JsonSection section);

}  // namespace vlalign
