// transformers' keys for EfficientNet, which open_clip-like configs of custom models use too.
#pragma once

#include <nlohmann/json.hpp>

#include "core/json/json_section.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign {

EfficientNetConfig efficientnet_of(JsonSection section);
nlohmann::json to_json(const EfficientNetConfig& config);

}  // namespace vlalign
