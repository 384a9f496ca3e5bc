// A model with the text tower of a folder in place of its own.
#include "config/validate.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "model/peers/folder_tokenizer.hpp"
#include "model/peers/model_folder.hpp"
#include "model/peers/open_clip_hf_text.hpp"
#include "model/peers/tower_source.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign {
namespace {

/// Of a whole model's folder.
TextConfig text_of_model(const std::filesystem::path& folder) {
  TextConfig text;
  read_whole_folder(folder, [&](const auto& place) { text = read_model_config(config_file_of(place)).text; });
  text.keeps_rows = true;
  return text;
}

/// Of the model's kind, from the new tower's width, and without what open_clip has not behind such a tower.
ProjectionConfig projection_behind(const ModelConfig& config) {
  auto projection = config.text_projection;
  if (projection.hidden > 0) projection.hidden = (config.text.width + config.embed_dim) / 2;
  if (!projection.present && config.text.width != config.embed_dim) projection.present = true;
  if (is_masked_text(config.text)) projection.bias = false;
  return projection;
}

}  // namespace

ModelConfig with_text_tower(ModelConfig config, const std::filesystem::path& folder,
                            std::optional<std::int64_t> context_length) {
  config.text = is_text_tower_alone(folder) ? read_text_config(folder) : text_of_model(folder);
  if (context_length) config.text = with_asked_context(config.text, *context_length);
  config.layout = Layout::open_clip;
  config.text_projection = projection_behind(config);
  if (config.text.peer_name.empty() && holds_hf_projection(config)) config.text = named_for_open_clip(config.text);
  config.custom_text = config.custom_text || !config.text.peer_name.empty();
  return config;
}

std::shared_ptr<const Tokenizer> text_tower_tokenizer(const std::filesystem::path& folder) {
  if (is_text_tower_alone(folder)) return load_tokenizer(folder);
  std::shared_ptr<const Tokenizer> tokenizer;
  read_whole_folder(folder, [&](const auto& place) {
    const auto config = read_model_config(config_file_of(place));
    tokenizer = folder_tokenizer(place, config.text, config.layout);
  });
  return tokenizer;
}

}  // namespace vlalign
