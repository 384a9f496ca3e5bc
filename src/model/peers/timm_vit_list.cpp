#include "model/peers/timm_vit_list.hpp"

#include <array>
#include <string>

#include "core/check.hpp"

namespace vlalign {
namespace {

using Pool = VitConfig::Pool;

std::string_view name_of_timm_pool(Pool pool) {
  return pool == Pool::token ? "token" : pool == Pool::average ? "avg" : "map";
}

/// With another pooling: timm moves the last norm behind a mean that isn't its own.
VitConfig with_timm_pool(VitConfig vit, Pool pool) {
  if (vit.pool != pool) vit.norm_after_pool = pool == Pool::average;
  vit.pool = pool;
  return vit;
}

/// The poolings that such a tower can have.
std::vector<std::string_view> pools_of_timm(const VitConfig& vit) {
  if (vit.pool == Pool::attention) return {"map"};
  if (!vit.class_token) return {"avg"};
  return {"token", "avg"};
}

/// timm_pool, where "" stands for timm's own.
Pool read_timm_pool(const VitConfig& vit, std::string_view name, JsonSection& vision) {
  const auto own = name_of_timm_pool(vit.pool);
  const auto* proj = vision.find("timm_proj");
  const bool own_only = proj != nullptr && *proj != "none" && *proj != "";
  if (own_only && vision.get<std::string>("timm_pool", "avg").empty()) return vit.pool;
  // A head behind a tower of another pooling leaves the tower's last norm where its own pooling has it.
  const auto known = own_only ? std::vector{own} : pools_of_timm(vit);
  const auto pool = pool_of_timm(vision, name, known);
  return pool == "token" ? Pool::token : pool == "avg" ? Pool::average : Pool::attention;
}

bool same_tower(const VitConfig& a, const VitConfig& b) {
  const std::array<TimmTower, 1> one{TimmTower{"", a}};
  return find_tower(one, b) != nullptr;
}

}  // namespace

std::optional<VisionConfig> read_timm_vit(std::span<const TimmTower> towers, std::string_view name,
                                          JsonSection& vision) {
  const auto* tower = find_tower(towers, name);
  if (!tower) return {};
  auto vit = std::get<VitConfig>(tower->vision);
  vit = with_timm_pool(vit, read_timm_pool(vit, name, vision));
  read_dropping(vision, vit);
  return vit;
}

std::optional<nlohmann::json> write_timm_vit(std::span<const TimmTower> towers, const VisionConfig& vision,
                                             int image_size) {
  const auto* vit = std::get_if<VitConfig>(&vision);
  if (!vit) return {};
  const auto plain = without_dropping(*vit);
  std::string_view name;
  for (const auto& tower : towers) {
    if (!same_tower(with_timm_pool(std::get<VitConfig>(tower.vision), vit->pool), plain)) continue;
    if (name.empty() || tower.name.ends_with(fmt::format("_{}", image_size))) name = tower.name;
  }
  if (name.empty()) return {};
  nlohmann::json out{{"timm_model_name", name}, {"timm_pool", name_of_timm_pool(vit->pool)}};
  write_dropping(*vit, out);
  return out;
}

}  // namespace vlalign
