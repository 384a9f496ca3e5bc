// The configs of one layout, and the towers' own parts of them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/json/json_section.hpp"
#include "model/peers/image_processor.hpp"
#include "vlalign/config/model_config.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign {

ModelConfig read_open_clip_config(const nlohmann::json& root, const std::filesystem::path& file);

ModelConfig read_hugging_face_config(const nlohmann::json& root, const ImageProcessor& preprocessor,
                                     const std::filesystem::path& file);

/// Of either peer, as read_model_config() reads it, which see. `file` is what errors call it.
ModelConfig parse_model_config(const nlohmann::json& root, const ImageProcessor& preprocessor,
                               const std::filesystem::path& file);

/// What a folder's files on pictures say; no values where there are none.
ImageProcessor image_processor_of(const std::filesystem::path& folder);

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

}  // namespace vlalign
