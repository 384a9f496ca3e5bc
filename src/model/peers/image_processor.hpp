// transformers' files on preparing pictures.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "vlalign/config/model_config.hpp"

namespace vlalign {

constexpr auto preprocessor_config = "preprocessor_config.json";
constexpr auto processor_config = "processor_config.json";

/// What they say.
struct ImageProcessor {
  std::string where{};      ///< what errors call it
  nlohmann::json values{};  ///< null where no file says anything
};

/// Into `how`, whose image_size is the config's. usual: the class that stands in where no file names a known one,
/// without "ImageProcessor"; config_file: what a warning names where there is no file at all.
void read_image_processor(const ImageProcessor& processor, std::string_view usual, const std::string& config_file,
                          Preprocess& how);

/// The text of a preprocessor_config.json of that class, for such a model.
std::string image_processor_json(const ModelConfig& config, std::string_view processor);

}  // namespace vlalign
