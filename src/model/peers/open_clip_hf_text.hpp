// open_clip's text towers of transformers', which its configs give by name (its HFTextEncoder).
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "core/json/json_section.hpp"
#include "model/peers/peer_names.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// A key of ours at the top of open_clip_config.json, where open_clip looks at nothing else: the keys of the tower's
/// own config.json, for a name whose sizes aren't known.
constexpr auto text_sizes_key = "hf_text_config";

/// A text_cfg with hf_model_name. The sizes are those of text_sizes_key in `root`, else of a config.json beside
/// open_clip_config.json, else the named model's. file: what `root` was read from.
void read_hf_text(JsonSection& text, const nlohmann::json& root, const std::filesystem::path& file,
                  ModelConfig& config);

/// What read_hf_text() takes: the text_cfg, and the value of text_sizes_key or null.
struct HfTextJson {
  nlohmann::json text, sizes;
};
HfTextJson hf_text_json(const ModelConfig& config);

/// The name, of those whose sizes are known, of the tower that differs least from this one: what open_clip can be told
/// it by, the differences as hf_model_config. Empty for a tower of another kind.
std::string open_clip_text_name(const TextConfig& text);

/// The tower under that name, where it has one.
TextConfig named_for_open_clip(TextConfig text);

/// Whether open_clip has such a projection behind a tower of transformers'.
bool holds_hf_projection(const ModelConfig& config);

NamingSchemes hf_text_schemes(const ModelConfig& config);

}  // namespace vlalign
