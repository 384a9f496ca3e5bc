#pragma once

#include <filesystem>
#include <string>

#include "vlalign/config/model_config.hpp"
#include "vlalign/core/export.hpp"

namespace vlalign {

/// Reads a model's JSON: open_clip's model config ({"embed_dim", "vision_cfg", "text_cfg"}), a model folder's
/// open_clip_config.json ({"model_cfg", "preprocess_cfg"}), or transformers' config.json ({"model_type": "clip",
/// "metaclip_2", "chinese_clip", "siglip" or "align"}), with preprocessor_config.json beside it. Throws Error naming
/// the file and the key that is missing, wrong or asks for something this library does not build.
VLALIGN_EXPORT ModelConfig read_model_config(const std::filesystem::path& file);

/// The text of an open_clip_config.json for a model.
VLALIGN_EXPORT std::string to_open_clip_json(const ModelConfig& config);

/// The text tower of a folder that transformers wrote (config.json of model_type bert, roberta, xlm-roberta, gpt2, t5,
/// mt5 or m2m_100), or sentence-transformers, whose pooling and longest text it then has.
VLALIGN_EXPORT TextConfig read_text_config(const std::filesystem::path& folder);

}  // namespace vlalign
