// The configs of one layout, and the towers' own parts of them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/json/json_section.hpp"
#include "vlalign/config/model_config.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign {

ModelConfig read_open_clip_config(const nlohmann::json& root, const std::filesystem::path& file);

constexpr auto preprocessor_config = "preprocessor_config.json";
constexpr auto processor_config = "processor_config.json";

/// What transformers' files say of preparing pictures.
struct ImageProcessor {
  std::string where{};      ///< what errors call it
  nlohmann::json values{};  ///< null where no file says anything
};

ModelConfig read_hugging_face_config(const nlohmann::json& root, const ImageProcessor& preprocessor,
                                     const std::filesystem::path& file);

/// Of either peer, as read_model_config() reads it, which see. `file` is what errors call it.
ModelConfig parse_model_config(const nlohmann::json& root, const ImageProcessor& preprocessor,
                               const std::filesystem::path& file);

/// A file of a model folder: its name and text.
struct ConfigFile {
  std::string name, text;
};
/// The config files of a model in its own layout.
std::vector<ConfigFile> config_files(const ModelConfig& config);
/// config.json and preprocessor_config.json.
std::vector<ConfigFile> hugging_face_config_files(const ModelConfig& config);

/// The same model as a peer's folder holds it: what plays no part in it as the peer's reader gives it.
ModelConfig with_layout(ModelConfig config, Layout layout);

/// Throws Error unless the files that config_files() gives are read as the same config again. It names the field that
/// would be lost, and says whether the other layout holds the model.
void check_comes_back(const ModelConfig& config);

/// A key of ours in either peer's preprocessing, written only where it says "peer".
constexpr auto pixels_as_key = "vlalign_pixels_as";
PixelsAs pixels_as_of(JsonSection preprocessing);

/// transformers' keys for the towers that it alone names; open_clip-like configs of custom models use them too.
EfficientNetConfig efficientnet_of(JsonSection section);
nlohmann::json to_json(const EfficientNetConfig& config);
TextConfig bert_of(JsonSection section);
nlohmann::json bert_json(const TextConfig& config);
/// GPT2Config's.
TextConfig gpt2_of(JsonSection section);

}  // namespace vlalign
