#include "model/peers/peer_limits.hpp"

#include "config/validate.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/timm_dino.hpp"
#include "model/peers/timm_family.hpp"

namespace vlalign {
namespace {

constexpr auto newest_release = "3.3";

void add_text_limits(const ModelConfig& config, const nlohmann::json& text, PeerLimits& limits) {
  if (is_masked_text(config.text) && config.text.peer_name.empty())
    limits.of_every_version.push_back("open_clip has no such text tower with such a projection");
  if (text.contains("hf_model_config"))
    limits.of_older_versions.push_back(
        fmt::format("text_cfg.hf_model_config, by which the text tower is told from {}", config.text.peer_name));
}

void add_vision_limits(const ModelConfig& config, const nlohmann::json& vision, PeerLimits& limits) {
  if (const auto* vit = std::get_if<VitConfig>(&config.vision)) {
    if (!vit->stem.empty()) limits.of_every_version.push_back("vision_cfg.stem is this library's own");
    for (const auto* key : {dinov2_side_key, dinov2_resize_key})
      if (vision.contains(key))
        limits.of_every_version.push_back(fmt::format("vision_cfg.{} is this library's own", key));
    if (timm_family_of(config) && vit->most_patches == 0 && config.preprocess.image_size % vit->patch_size != 0)
      limits.of_every_version.push_back(fmt::format("timm takes no pictures of {} px in patches of {}",
                                                    config.preprocess.image_size, vit->patch_size));
  }
  if (vision.contains("timm_model_kwargs")) limits.of_older_versions.emplace_back("vision_cfg.timm_model_kwargs");
}

}  // namespace

PeerLimits peer_limits(const ModelConfig& config) {
  PeerLimits limits;
  if (config.layout != Layout::open_clip || std::holds_alternative<OwnTowers>(config.vision)) return limits;
  const auto file = config_files(config).front();
  const auto model = parse_json(file.text, file.name).at("model_cfg");
  add_vision_limits(config, model.at("vision_cfg"), limits);
  add_text_limits(config, model.at("text_cfg"), limits);
  return limits;
}

void log_peer_limits(const ModelConfig& config) {
  const auto limits = peer_limits(config);
  if (!limits.of_every_version.empty()) {
    log_warning("model {}: its folder is read by vlalign alone: {}", config.name,
                fmt::join(limits.of_every_version, "; "));
  } else if (!limits.of_older_versions.empty()) {
    log_info("model {}: open_clip's main branch reads its folder, release {} and older don't: they don't know {}",
             config.name, newest_release, fmt::join(limits.of_older_versions, " and "));
  }
}

}  // namespace vlalign
